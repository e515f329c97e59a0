-- Old rows do not move the watermark back; NULL times do not move it at all and belong to no time.
CREATE STREAM s (ts TIMESTAMP(3), v BIGINT, WATERMARK FOR ts);
SELECT ts, sum(v) AS total FROM s GROUP BY ts EMIT APPEND;
INSERT INTO s VALUES (NULL, 1);
INSERT INTO s VALUES ('2026-01-01 00:00:10', 2);
INSERT INTO s VALUES ('2026-01-01 00:00:01', 4), (NULL, 8);
INSERT INTO s VALUES ('2026-01-01 00:00:12', 16);

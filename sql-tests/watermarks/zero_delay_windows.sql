-- Without delay a row whose window ends at the watermark is late; one whose window does not is in time, however old.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT UPDATE;
INSERT INTO s VALUES (1, '2026-01-01 00:00:19');
INSERT INTO s VALUES (2, '2026-01-01 00:00:10'), (4, '2026-01-01 00:00:09.999');
INSERT INTO s VALUES (8, '2026-01-01 00:00:20');
INSERT INTO s VALUES (16, '2026-01-01 00:00:19.999'), (32, '2026-01-01 00:00:20');

-- A plain event time is late only when strictly below the watermark; a group leaves only then too.
CREATE STREAM s (ts TIMESTAMP(3), v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT ts, sum(v) AS total FROM s GROUP BY ts EMIT APPEND;
SELECT ts, sum(v) AS total FROM s GROUP BY ts EMIT UPDATE;
INSERT INTO s VALUES ('2026-01-01 00:00:10', 1), ('2026-01-01 00:00:05', 2);
-- The watermark is 5 seconds now: 00:05 is in time, 00:04.999 is late.
INSERT INTO s VALUES ('2026-01-01 00:00:05', 4), ('2026-01-01 00:00:04.999', 8);
INSERT INTO s VALUES ('2026-01-01 00:00:10.001', 16);
INSERT INTO s VALUES ('2026-01-01 00:00:05', 32), ('2026-01-01 00:00:20', 64);

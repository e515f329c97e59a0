-- One windowed aggregate in all four modes.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);
SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT APPEND;
SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT UPDATE;
SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT COMPLETE;
SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:02');
INSERT INTO s VALUES ('a', 4, '2026-01-01 00:00:05'), ('a', 8, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('b', 16, '2026-01-01 00:00:09'), ('b', 32, '2026-01-01 00:00:11');

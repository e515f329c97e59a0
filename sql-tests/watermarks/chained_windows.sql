-- An aggregate over the final rows of another: both close in the same batch.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window_start, window_end, max(total) AS top, count(*) AS groups
FROM (SELECT window_start, window_end, k, sum(v) AS total FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_start, window_end, k)
GROUP BY window_start, window_end EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:02'), ('a', 4, '2026-01-01 00:00:09');
INSERT INTO s VALUES ('a', 8, '2026-01-01 00:00:10'), ('b', 16, '2026-01-01 00:00:05');
INSERT INTO s VALUES ('c', 32, '2026-01-01 00:00:20');

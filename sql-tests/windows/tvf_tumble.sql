-- TUMBLE as a table function, in every spelling.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);
SELECT window_start, window_end, window_time, k, sum(v) AS total
FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, window_time, k EMIT APPEND;
SELECT window_start, window_end, sum(v) AS total
FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECONDS)) GROUP BY window_start, window_end EMIT APPEND;
SELECT window_start, window_end, sum(v) AS total
FROM TUMBLE(s, ts, INTERVAL '10 seconds') GROUP BY window_start, window_end EMIT APPEND;
SELECT window_start, window_end, count(*) AS n
FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '4' SECOND) GROUP BY window_start, window_end EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:03'), ('b', 2, '2026-01-01 00:00:04'), ('a', 3, '2026-01-01 00:00:13');
INSERT INTO s VALUES ('a', 4, '2026-01-01 00:00:26');

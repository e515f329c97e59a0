-- Partitions by an event time with a watermark are final when it has passed, and leave; in APPEND they are given then.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);
SELECT window_start, k, total, row_number() OVER (PARTITION BY window_start, window_end ORDER BY total DESC, k) AS place
  FROM (SELECT window_start, window_end, k, sum(v) AS total FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_start, window_end, k)
  QUALIFY place <= 2 EMIT APPEND;
SELECT k, v, ts, lag(v) OVER (PARTITION BY ts ORDER BY v) AS before FROM s EMIT APPEND;
SELECT k, v, ts, lag(v) OVER (PARTITION BY ts ORDER BY v) AS before FROM s EMIT CHANGES;
-- error: OVER in APPEND mode needs an event-time column with a watermark
SELECT k, v, lag(v) OVER (PARTITION BY k ORDER BY v) AS before FROM s EMIT APPEND;
-- error: ORDER BY with LIMIT over a stream is final in APPEND mode only
SELECT k, v FROM s ORDER BY v, ts LIMIT 1 EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2020-01-01 00:00:01'), ('b', 5, '2020-01-01 00:00:01'), ('c', 2, '2020-01-01 00:00:02'), ('x', 9, NULL);
INSERT INTO s VALUES ('a', 7, '2020-01-01 00:00:05'), ('d', 3, '2020-01-01 00:00:00');
INSERT INTO s VALUES ('a', 1, '2020-01-01 00:00:12'), ('b', 1, '2020-01-01 00:00:04');
INSERT INTO s VALUES ('z', 1, '2020-01-01 00:00:03'), ('b', 1, '2020-01-01 00:00:25');

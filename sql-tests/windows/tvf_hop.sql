-- HOP: Flink's order of arguments, the slide before the size.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window_start, window_end, sum(v) AS total
FROM HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)
GROUP BY window_start, window_end EMIT APPEND;
SELECT window_start, window_end, sum(v) AS total
FROM HOP(s, ts, INTERVAL '5' SECOND, INTERVAL '15' SECOND)
GROUP BY window_start, window_end EMIT UPDATE;
INSERT INTO s VALUES (1, '1970-01-01 00:00:02'), (10, '1970-01-01 00:00:06');
INSERT INTO s VALUES (100, '1970-01-01 00:00:11');
INSERT INTO s VALUES (1000, '1970-01-01 00:00:06');
INSERT INTO s VALUES (10000, '1970-01-01 00:00:31');

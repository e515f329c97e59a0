-- CUMULATE: windows that share their start and grow by a step.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window_start, window_end, sum(v) AS total, count(*) AS n
FROM CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)
GROUP BY window_start, window_end EMIT APPEND;
SELECT window_start, window_end, sum(v) AS total
FROM CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)
GROUP BY window_start, window_end EMIT UPDATE;
INSERT INTO s VALUES (1, '1970-01-01 00:00:05'), (10, '1970-01-01 00:00:15');
INSERT INTO s VALUES (100, '1970-01-01 00:00:25');
INSERT INTO s VALUES (1000, '1970-01-01 00:00:15');
INSERT INTO s VALUES (10000, '1970-01-01 00:00:40');

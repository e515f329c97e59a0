-- What may stand for the event time in GROUP BY with APPEND: the time, functions that keep its order, bounds of windows.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT date_trunc('minute', ts) AS m, count(*) AS n FROM s GROUP BY date_trunc('minute', ts) EMIT APPEND;
SELECT ts, k FROM s GROUP BY ts, k EMIT APPEND;
SELECT DISTINCT ts, k FROM s EMIT APPEND;
SELECT ts, k, sum(v) AS v FROM s GROUP BY ts, k HAVING sum(v) > 1 EMIT APPEND;
SELECT window_start, window_end, k, count(*) AS n FROM CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND) GROUP BY window_start, window_end, k EMIT APPEND;
SELECT window_start, k, count(*) AS n FROM HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND) GROUP BY window_start, k EMIT APPEND;
SELECT window_time, count(*) AS n FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_time EMIT APPEND;
SELECT window_end, count(*) AS n FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) GROUP BY window_end EMIT APPEND;
SELECT ts + INTERVAL '1 hour' AS later, count(*) AS n FROM s GROUP BY ts + INTERVAL '1 hour' EMIT APPEND;
SELECT CAST(ts AS DATE) AS d, count(*) AS n FROM s GROUP BY CAST(ts AS DATE) EMIT APPEND;
SELECT extract(second FROM ts) AS sec, ts, count(*) AS n FROM s GROUP BY extract(second FROM ts), ts EMIT APPEND;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

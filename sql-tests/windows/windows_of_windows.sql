-- window_time() of a window carries its event time on, so that a larger window can follow.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, sum(n) AS total, count(*) AS parts
FROM (SELECT window_time(window) AS wt, k, count(*) AS n FROM s GROUP BY window(ts, '5 seconds'), k)
GROUP BY window(wt, '10 seconds') EMIT APPEND;
INSERT INTO s VALUES ('a', '1970-01-01 00:00:01'), ('b', '1970-01-01 00:00:02'), ('a', '1970-01-01 00:00:06');
INSERT INTO s VALUES ('a', '1970-01-01 00:00:09'), ('a', '1970-01-01 00:00:11');
INSERT INTO s VALUES ('c', '1970-01-01 00:00:03'), ('c', '1970-01-01 00:00:21');

-- Start offsets, also such as are negative, and windows of sizes that divide nothing.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '7 seconds') EMIT COMPLETE;
SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds', '10 seconds', '3 seconds') EMIT COMPLETE;
SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds', '10 seconds', '-3 seconds') EMIT COMPLETE;
SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds', '4 seconds') EMIT COMPLETE;
INSERT INTO s VALUES (1, '1970-01-01 00:00:00'), (2, '1970-01-01 00:00:07'), (4, '1970-01-01 00:00:12.999'), (8, '1969-12-31 23:59:59.999');

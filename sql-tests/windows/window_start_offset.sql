-- The fourth argument moves the starts.
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '10 seconds', '3 seconds') EMIT UPDATE;
INSERT INTO s VALUES ('1970-01-01 00:00:02.999'), ('1970-01-01 00:00:03'), ('1970-01-01 00:00:12.999'), ('1970-01-01 00:00:13');

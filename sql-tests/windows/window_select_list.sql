-- In a SELECT list a window is a value; a sliding one multiplies rows.
CREATE STREAM s (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT id, window(ts, '10 seconds') AS w FROM s;
SELECT id, window(ts, '10 seconds', '5 seconds') AS w FROM s;
INSERT INTO s VALUES (1, '1970-01-01 00:00:07'), (2, '1970-01-01 00:00:10'), (3, NULL);

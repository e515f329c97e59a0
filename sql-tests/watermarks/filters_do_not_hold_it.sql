-- The watermark belongs to the stream: rows that the query filters out move it all the same.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT ts, count(*) AS n FROM s WHERE k = 'a' GROUP BY ts EMIT APPEND;
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01');
INSERT INTO s VALUES ('b', '2026-01-01 00:00:02');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01');

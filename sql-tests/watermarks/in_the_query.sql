-- A watermark in the query, over a stream that has none.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3));
SELECT window.start AS start, sum(v) AS total FROM STREAM s WATERMARK ts DELAY OF INTERVAL 5 SECONDS GROUP BY window(ts, '10 seconds') EMIT APPEND;
INSERT INTO s VALUES (1, '2026-01-01 00:00:01'), (2, '2026-01-01 00:00:09');
INSERT INTO s VALUES (4, '2026-01-01 00:00:15');
INSERT INTO s VALUES (8, '2026-01-01 00:00:09'), (16, '2026-01-01 00:00:10');

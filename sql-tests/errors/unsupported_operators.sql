-- What is not incremental is refused with the operator, the reason and a way out; never run per batch.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE TABLE t AS SELECT 1 AS v;
-- error: WITH RECURSIVE over a stream is not incremental yet
WITH RECURSIVE r AS (SELECT v FROM s UNION ALL SELECT v + 1 FROM r WHERE v < 3) SELECT * FROM r;
-- error: drop_duplicates keeps the first row that comes, and of rows that are taken back none is the first
SELECT * FROM drop_duplicates(TABLE (SELECT k, count(*) AS n FROM s GROUP BY k)) EMIT UPDATE;
-- error: random() and the like over rows that change or go again
SELECT k, count(*) AS n, random() AS r FROM s GROUP BY k EMIT CHANGES;
-- error: in APPEND mode needs an event-time column with a watermark
SELECT count(*) AS n FROM s GROUP BY ROLLUP (window(ts, '10 seconds')) EMIT APPEND;
-- error: PIVOT and UNPIVOT are not supported; write sum(v) FILTER
SELECT * FROM s PIVOT (sum(v) FOR k IN ('a'));

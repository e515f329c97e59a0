-- EXPLAIN STREAMING says what an operator keeps, and what evicts it.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
EXPLAIN STREAMING SELECT k, v FROM s WHERE v > 1;
EXPLAIN STREAMING SELECT k, sum(v) AS total FROM s GROUP BY k EMIT UPDATE;
EXPLAIN STREAMING SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND;
-- Without the word a query that is continuous is explained as one.
EXPLAIN SELECT k, v FROM s WHERE v > 1;

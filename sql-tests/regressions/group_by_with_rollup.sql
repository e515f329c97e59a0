-- Spark's spellings of grouping sets; the words behind the keys were forgotten.
CREATE STREAM s (a VARCHAR, b VARCHAR, v BIGINT);
SELECT a, b, sum(v) AS total FROM s GROUP BY a, b WITH ROLLUP EMIT COMPLETE;
SELECT a, b, sum(v) AS total FROM s GROUP BY a, b WITH CUBE EMIT COMPLETE;
SELECT a, b, sum(v) AS total FROM s GROUP BY a, b GROUPING SETS ((a), (b)) EMIT COMPLETE;
SELECT a, b, sum(v) AS total FROM s GROUP BY ROLLUP (a, b) EMIT COMPLETE;
INSERT INTO s VALUES ('x', 'p', 1), ('x', 'q', 2), ('y', 'p', 4);

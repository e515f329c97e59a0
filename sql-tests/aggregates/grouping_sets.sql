-- GROUPING SETS, ROLLUP and CUBE, and grouping() to tell their NULLs from others.
CREATE STREAM s (a VARCHAR, b VARCHAR, v BIGINT);
SELECT a, b, sum(v) AS total FROM s GROUP BY GROUPING SETS ((a, b), (a), ()) EMIT COMPLETE;
SELECT a, b, sum(v) AS total FROM s GROUP BY ROLLUP (a, b) EMIT COMPLETE;
SELECT a, b, sum(v) AS total, grouping(a) AS ga, grouping(b) AS gb FROM s GROUP BY CUBE (a, b) EMIT COMPLETE;
INSERT INTO s VALUES ('x', 'p', 1), ('x', 'q', 2), ('y', NULL, 4);
INSERT INTO s VALUES ('x', 'p', 8), (NULL, NULL, 16);

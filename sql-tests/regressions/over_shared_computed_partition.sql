-- Windows share a computed partition that the optimizer makes a column of, also where only one of them has a name.
CREATE TABLE t (k BIGINT, f DOUBLE) AS VALUES (1, 0.5), (1, 1.5), (2, 2.5);
SELECT k, f, sum(k) OVER (PARTITION BY k + 1 ORDER BY f) AS a, first_value(f + 1) OVER (PARTITION BY k + 1 ORDER BY f) FROM t ORDER BY k, f;
CREATE STREAM s (k BIGINT, f DOUBLE);
SELECT f, sum(k) OVER (PARTITION BY k + 1 ORDER BY f) AS a, first_value(f + 1) OVER (PARTITION BY k + 1 ORDER BY f) AS b FROM s EMIT CHANGES;
SELECT sum(c2) OVER (PARTITION BY CAST(c2 AS DOUBLE) ORDER BY c2 * 2, c0) AS a, first_value(CASE WHEN 3 THEN c0 END) OVER (PARTITION BY CAST(c2 AS DOUBLE) ORDER BY c2 * 2, c0) FROM (SELECT f AS c0, sum(k) AS c2 FROM s GROUP BY f) EMIT CHANGES;
EXPLAIN STREAMING SELECT f, sum(k) OVER (PARTITION BY k + 1 ORDER BY f) AS a, first_value(f + 1) OVER (PARTITION BY k + 1 ORDER BY f) AS b FROM s EMIT CHANGES;
INSERT INTO s VALUES (1, 0.5), (2, 2.5);
INSERT INTO s VALUES (1, 1.5), (1, 0.25);

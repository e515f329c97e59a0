-- The first rows of an ordered subquery are those of its order, also where nobody above asks for the order.
CREATE STREAM s (k BIGINT, v DOUBLE);
CREATE TABLE t (k BIGINT, f DOUBLE) AS VALUES (2, 0.5), (3, NULL), (1, 7.0);
SELECT s.k, a.k AS first FROM s CROSS JOIN (SELECT k FROM t ORDER BY f DESC LIMIT 1) a EMIT CHANGES;
SELECT s.k, a.k AS second FROM s CROSS JOIN (SELECT k FROM t ORDER BY f DESC LIMIT 1 OFFSET 1) a EMIT APPEND;
SELECT x.k FROM (SELECT k, total FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) ORDER BY total, k LIMIT 2) x CROSS JOIN (SELECT k FROM t ORDER BY f LIMIT 2) y EMIT COMPLETE;
INSERT INTO s VALUES (1, NULL), (2, 4), (3, 1);
INSERT INTO s VALUES (2, -4), (4, 0.5);

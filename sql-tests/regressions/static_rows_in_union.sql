-- UNION ALL of a stream with static rows was refused. They are rows of batch 0, and of no other one.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE TABLE t AS SELECT column1 AS k, column2 AS v FROM (VALUES ('x', 7), ('y', 8));
SELECT k, v FROM s UNION ALL SELECT k, v FROM t;
SELECT v, k FROM t UNION ALL SELECT v, k FROM s UNION ALL SELECT 9, 'z';
SELECT k, sum(v) AS total FROM (SELECT k, v FROM s UNION ALL SELECT k, v FROM t) GROUP BY k EMIT UPDATE;
SELECT k, sum(v) AS total FROM s GROUP BY k UNION ALL SELECT k, v FROM t EMIT CHANGES;
SELECT k, v FROM s UNION SELECT 'x', 7;
SELECT count(*) AS n FROM (SELECT k FROM s UNION ALL SELECT 'z' WHERE 1 = 0) EMIT COMPLETE;
SELECT t.v, a.v AS w FROM (SELECT k, v FROM s UNION ALL SELECT 'x', 1) AS a JOIN t ON a.k = t.k;
INSERT INTO s VALUES ('a', 1), ('x', 2);
INSERT INTO s VALUES ('x', 3);
EXPLAIN STREAMING SELECT k, v FROM s UNION ALL SELECT k, v FROM t;

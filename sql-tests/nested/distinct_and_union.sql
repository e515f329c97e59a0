-- DISTINCT and UNION over rows that are taken back: a row is there as long as any branch gives it.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE STREAM t (k VARCHAR, v BIGINT);
CREATE TABLE fixed AS SELECT column1 AS k, column2 AS n FROM (VALUES ('a', 1), ('x', 2), (NULL, 1));
SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT CHANGES;
SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT UPDATE;
SELECT k, count(*) AS n FROM s GROUP BY k UNION SELECT k, count(*) FROM t GROUP BY k EMIT CHANGES;
SELECT k, count(*) AS n FROM s GROUP BY k UNION SELECT k, v FROM t UNION SELECT k, n FROM fixed EMIT CHANGES;
SELECT count(*) AS rows FROM (SELECT k, count(*) AS n FROM s GROUP BY k UNION SELECT k, v FROM t) EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('b', 1), (NULL, 1);
INSERT INTO t VALUES ('a', 2), ('a', 2), ('b', 1);
INSERT INTO s VALUES ('a', 1), (NULL, 4), ('c', NULL);
INSERT INTO t VALUES ('a', 2), ('c', NULL), (NULL, 2);
INSERT INTO s VALUES ('a', 1), ('b', 1);

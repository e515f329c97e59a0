-- LATERAL and correlated subqueries: those that are joins run; the others were refused in DataFusion's raw words.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE TABLE t AS SELECT column1 AS x, column2 AS y FROM (VALUES (1, 10), (1, 20), (2, 30));
SELECT s.k, l.y FROM s CROSS JOIN LATERAL (SELECT y FROM t WHERE t.x = s.v) AS l;
SELECT s.k, l.y FROM s, LATERAL (SELECT sum(y) AS y FROM t WHERE t.x = s.v) AS l;
SELECT k, (SELECT max(y) FROM t WHERE x = v) AS top FROM s;
-- error: is no join and cannot be run for each row of a stream; write it as a JOIN with its conditions in ON: column=`s.v`
SELECT s.k, l.y FROM s LEFT JOIN LATERAL (SELECT y FROM t WHERE t.x > s.v LIMIT 1) AS l ON true;
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('c', 3);

-- COMPLETE takes anything above the first aggregate: DISTINCT, another aggregate, OVER, joins and sets of results.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT COMPLETE;
SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) GROUP BY n EMIT COMPLETE;
SELECT k, n, rank() OVER (ORDER BY n DESC) AS place FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT COMPLETE;
SELECT a.k, a.n, b.top FROM (SELECT k, count(*) AS n FROM s GROUP BY k) AS a JOIN (SELECT k, max(v) AS top FROM s GROUP BY k) AS b ON a.k = b.k EMIT COMPLETE;
SELECT k FROM s GROUP BY k EXCEPT SELECT k FROM s WHERE v > 5 GROUP BY k EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 9);
INSERT INTO s VALUES ('c', 3), ('b', 4), ('c', 1);

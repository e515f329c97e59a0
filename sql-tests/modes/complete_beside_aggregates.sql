-- COMPLETE where one side of a join, a union or a set operation is an aggregate and the other one is rows of a stream.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE STREAM t (k VARCHAR, w BIGINT);
SELECT k, w, total FROM t JOIN (SELECT k, sum(v) AS total FROM s GROUP BY k) USING (k) EMIT COMPLETE;
SELECT k, w, total FROM t LEFT JOIN (SELECT k, sum(v) AS total FROM s GROUP BY k) USING (k) WHERE w > 1 EMIT COMPLETE;
SELECT k FROM s INTERSECT SELECT k FROM t EMIT COMPLETE;
SELECT k FROM s EXCEPT SELECT k FROM t EMIT COMPLETE;
SELECT k, v FROM s UNION ALL SELECT k, count(*) FROM t GROUP BY k UNION ALL VALUES ('static', 0) EMIT COMPLETE;
SELECT k, v FROM s WHERE v > (SELECT avg(w) FROM t) EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1), ('b', 2), (NULL, 3);
INSERT INTO t VALUES ('a', 10), (NULL, 1);
INSERT INTO s VALUES ('a', 5), ('c', 20);
INSERT INTO t VALUES ('a', 2), ('d', 1), ('c', 3);

-- A group that is touched and keeps its value is not given again, unlike in Spark; one that leaves HAVING is deleted.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, max(v) AS top FROM s GROUP BY k EMIT UPDATE;
SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 0 EMIT CHANGES;
INSERT INTO s VALUES ('a', 5), ('b', -1);
INSERT INTO s VALUES ('a', 3), ('b', 0);
INSERT INTO s VALUES ('a', 7), ('b', 2);
INSERT INTO s VALUES ('a', -15), ('b', NULL);

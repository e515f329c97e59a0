-- DISTINCT inside an aggregate, also beside others.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, count(DISTINCT v) AS values, sum(DISTINCT v) AS total, count(*) AS n FROM s GROUP BY k EMIT UPDATE;
SELECT count(DISTINCT k) AS keys, count(DISTINCT v) AS values FROM s EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('a', 1), ('b', 3), ('a', NULL);
INSERT INTO s VALUES ('a', 1), ('b', 4), (NULL, 1);

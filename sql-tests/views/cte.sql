-- Common table expressions, also one that is used twice.
CREATE STREAM s (k VARCHAR, v BIGINT);
WITH big AS (SELECT k, v FROM s WHERE v > 1), doubled AS (SELECT k, v * 2 AS v FROM big)
SELECT k, sum(v) AS total FROM doubled GROUP BY k EMIT UPDATE;
WITH big AS (SELECT k, v FROM s WHERE v > 1) SELECT k, v FROM big UNION ALL SELECT k, -v FROM big;
INSERT INTO s VALUES ('a', 1), ('a', 2), ('b', 3);
INSERT INTO s VALUES ('a', 4);

-- UNION ALL keeps every row; branches may differ in what they compute.
CREATE STREAM a (k VARCHAR, v BIGINT);
CREATE STREAM b (k VARCHAR, v INT);
SELECT k, v, 'a' AS origin FROM a UNION ALL SELECT upper(k), v + 1, 'b' FROM b WHERE v > 0;
SELECT k, sum(v) AS total FROM (SELECT k, v FROM a UNION ALL SELECT k, v FROM b) GROUP BY k EMIT UPDATE;
INSERT INTO a VALUES ('x', 1), ('x', 1);
INSERT INTO b VALUES ('x', 5), ('y', -1);

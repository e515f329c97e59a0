-- Without EMIT a query is APPEND where that is possible, and UPDATE otherwise.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, sum(v) AS total FROM s GROUP BY k;
SELECT k, v FROM s WHERE v > 1;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3);
INSERT INTO s VALUES ('a', 4);

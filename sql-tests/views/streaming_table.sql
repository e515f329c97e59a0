-- Spark pipelines' word for a table that a continuous query feeds.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE STREAMING TABLE kept AS SELECT k, v FROM s WHERE v > 1;
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('c', 3);
SELECT * FROM kept ORDER BY k;
SHOW STREAMING TABLES;
DROP STREAMING TABLE kept;

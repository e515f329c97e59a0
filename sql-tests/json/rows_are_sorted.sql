-- Rows of a batch are sorted by their columns from the first on, NULL first; `op` is the last column.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, v FROM s;
SELECT v, k FROM s;
SELECT k, count(*) AS n FROM s GROUP BY k EMIT CHANGES;
INSERT INTO s VALUES ('b', 10), ('a', 9), (NULL, 1), ('b', 9), ('B', 2), ('a', NULL), ('', 3);
INSERT INTO s VALUES ('b', 10), ('c', 0);

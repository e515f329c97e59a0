-- NULLs do not count; a group of NULLs has a NULL sum; NULL is one group.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, count(*) AS rows, count(v) AS vals, sum(v) AS total, min(v) AS low, max(v) AS high, avg(v) AS mean
FROM s GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('a', NULL), (NULL, 5), (NULL, 7), ('b', NULL);
INSERT INTO s VALUES ('a', 4), ('b', 2), (NULL, NULL);

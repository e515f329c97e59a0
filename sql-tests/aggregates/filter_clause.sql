-- FILTER counts only the rows that it lets through.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, count(*) AS n, count(*) FILTER (WHERE v > 2) AS big, sum(v) FILTER (WHERE v % 2 = 0) AS even
FROM s GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('a', 4), ('b', 3);
INSERT INTO s VALUES ('a', 2), ('b', NULL);

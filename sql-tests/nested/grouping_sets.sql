-- ROLLUP, CUBE and GROUPING SETS over the changing result of an aggregate.
CREATE STREAM s (r VARCHAR, k VARCHAR, v BIGINT);
SELECT r, big, count(*) AS n, sum(total) AS total, max(total) AS most, grouping(r) AS all_r
FROM (SELECT r, k, sum(v) AS total, sum(v) > 10 AS big FROM s GROUP BY r, k) GROUP BY ROLLUP (r, big) EMIT CHANGES;
SELECT r, big, count(DISTINCT total) AS n FROM (SELECT r, k, sum(v) AS total, sum(v) > 10 AS big FROM s GROUP BY r, k) GROUP BY CUBE (r, big) EMIT COMPLETE;
INSERT INTO s VALUES ('n', 'a', 5), ('n', 'b', 15), ('s', 'a', 5), (NULL, 'a', 1);
INSERT INTO s VALUES ('n', 'a', 10), ('s', 'a', 5), ('s', 'b', 10);
INSERT INTO s VALUES ('n', 'b', -15), ('s', 'c', 11), (NULL, NULL, 40);

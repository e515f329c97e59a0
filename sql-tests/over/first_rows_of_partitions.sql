-- Filters for the first rows keep, where nothing is taken back, only these; over changing rows all, in order.
CREATE STREAM s (k VARCHAR, v BIGINT, w BIGINT);
SELECT * FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n FROM s) WHERE n <= 2 EMIT CHANGES;
SELECT k, v FROM s QUALIFY rank() OVER (PARTITION BY k ORDER BY v) < 3 EMIT CHANGES;
SELECT v, sum(before) OVER (ORDER BY v % 5, v) AS total FROM (SELECT v, lag(v) OVER (ORDER BY v % 7, v) AS before FROM s) EMIT CHANGES;
SELECT v FROM s QUALIFY 2 >= dense_rank() OVER (ORDER BY v % 3 DESC) EMIT CHANGES;
SELECT k, total FROM (SELECT *, row_number() OVER (ORDER BY total DESC, k) AS n FROM (SELECT k, sum(v) AS total FROM s GROUP BY k)) WHERE n = 1 EMIT CHANGES;
SELECT k, v FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n, count(*) OVER (PARTITION BY k) AS c FROM s) WHERE n = 1 AND c > 1 EMIT CHANGES;
EXPLAIN STREAMING SELECT * FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n FROM s) WHERE n <= 2 EMIT CHANGES;
EXPLAIN STREAMING SELECT k, v FROM s ORDER BY v + 1 LIMIT 2 OFFSET 3 EMIT CHANGES;
EXPLAIN STREAMING SELECT k, v FROM s LIMIT 2;
EXPLAIN STREAMING SELECT k FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) ORDER BY total LIMIT 2 EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1, 1), ('a', 2, 1), ('a', 3, 1), ('b', 3, 0);
INSERT INTO s VALUES ('a', 2, 2), ('b', 9, 0), ('b', -3, 1), (NULL, NULL, NULL);
INSERT INTO s VALUES ('b', -8, 5), ('a', 100, 0), ('c', 50, 0), ('a', 1, 1);

-- Aggregates over the changing result of an aggregate: groups come, change and leave as rows are taken back.
CREATE STREAM s (k VARCHAR, v BIGINT, d DECIMAL(10, 2));
-- The histogram of counts: how many keys have so many rows.
SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) GROUP BY n EMIT CHANGES;
SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) GROUP BY n EMIT UPDATE;
SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) GROUP BY n EMIT COMPLETE;
-- Over all keys there is one row, always.
SELECT count(*) AS keys, sum(n) AS rows, avg(n) AS mean, min(n) AS least, max(n) AS most FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT UPDATE;
SELECT count(*) AS big, sum(total) AS total FROM (SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 10) EMIT CHANGES;
SELECT sum(d) AS d, avg(d) AS mean, max(d) AS most, count(DISTINCT d) AS values FROM (SELECT k, sum(d) AS d FROM s GROUP BY k) EMIT CHANGES;
-- Three levels.
SELECT keys, count(*) AS times, max(n) AS most FROM (SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) GROUP BY n) GROUP BY keys EMIT CHANGES;
SELECT DISTINCT n > 1 AS often, total FROM (SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k) EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 1.5), ('b', 20, 2.25), ('a', 2, NULL), (NULL, 3, 0.01);
INSERT INTO s VALUES ('a', NULL, -1.5), ('c', 20, 99999999.99), (NULL, 8, 1);
INSERT INTO s VALUES ('c', -20, 0), ('b', -15, NULL), ('d', 7, 2.25), ('d', -7, -2.25);
INSERT INTO s VALUES ('b', 30, 7), (NULL, 0, 1), ('e', NULL, NULL);

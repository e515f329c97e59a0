-- Windows that look so many rows back or ahead: a change touches the rows around it, whatever the size of the partition.
CREATE STREAM s (k VARCHAR, t BIGINT, v BIGINT);
SELECT k, t, v, lag(v) OVER (PARTITION BY k ORDER BY t) AS before, lead(v, 2) OVER (PARTITION BY k ORDER BY t) AS after FROM s EMIT CHANGES;
SELECT t, sum(v) OVER (ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS three, max(v) OVER (ORDER BY t ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) AS next FROM s EMIT CHANGES;
SELECT t, sum(v * 1.5e0) OVER (ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS three FROM s EMIT CHANGES;
EXPLAIN STREAMING SELECT k, t, v, lag(v) OVER (PARTITION BY k ORDER BY t) AS before, lead(v, 2) OVER (PARTITION BY k ORDER BY t) AS after FROM s EMIT CHANGES;
EXPLAIN STREAMING SELECT t, sum(v * 1.5e0) OVER (ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS three FROM s EMIT CHANGES;
INSERT INTO s VALUES ('a', 10, 1), ('a', 20, 2), ('a', 30, 3), ('b', 15, 10), ('a', 40, 4), ('a', 50, 5);
INSERT INTO s VALUES ('a', 60, 6);
INSERT INTO s VALUES ('a', 25, NULL), ('a', 5, 0);
INSERT INTO s VALUES ('b', NULL, 7), ('a', 70, 7), ('a', 45, 9);

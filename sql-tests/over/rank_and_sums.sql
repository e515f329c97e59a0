-- OVER: the partitions whose rows changed are computed anew, and what differs is emitted.
CREATE STREAM s (k VARCHAR, v BIGINT, w DOUBLE);
SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v) AS n, sum(w) OVER (PARTITION BY k ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS two, lag(v) OVER (PARTITION BY k ORDER BY v) AS before FROM s EMIT CHANGES;
SELECT v, rank() OVER (ORDER BY w DESC) AS place, count(*) OVER () AS n FROM s EMIT CHANGES;
SELECT k, v, ntile(2) OVER (PARTITION BY k, v % 2 ORDER BY v + 1) AS half FROM s EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1, 1.5), ('a', 3, 2.0), ('b', 1, 0.5);
INSERT INTO s VALUES ('a', 2, NULL), (NULL, 7, -0.0), (NULL, NULL, 1.0);
INSERT INTO s VALUES ('b', 5, 0.25);

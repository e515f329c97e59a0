-- Windows over all rows up to one: a row at the end of a partition costs itself, one among others those after it.
CREATE STREAM s (op VARCHAR, k VARCHAR, t BIGINT, v BIGINT, w DOUBLE, p DECIMAL(6, 2)) WITH (connector = 'memory', op_column = 'op');
SELECT k, t, v, sum(v) OVER (PARTITION BY k ORDER BY t) AS total, count(*) OVER (PARTITION BY k ORDER BY t) AS n, lag(v) OVER (PARTITION BY k ORDER BY t) AS before FROM s EMIT CHANGES;
SELECT k, t, row_number() OVER (PARTITION BY k ORDER BY t, v) AS n, first_value(v) OVER (PARTITION BY k ORDER BY t, v) AS first, last_value(v) OVER (PARTITION BY k ORDER BY t, v) AS last, avg(w) OVER (PARTITION BY k ORDER BY t, v) AS mean, sum(w) OVER (PARTITION BY k ORDER BY t, v ROWS UNBOUNDED PRECEDING) AS floats FROM s EMIT CHANGES;
SELECT t, rank() OVER (ORDER BY t DESC) AS r, dense_rank() OVER (ORDER BY t DESC) AS d, max(p) FILTER (WHERE v > 2) OVER (ORDER BY t DESC GROUPS UNBOUNDED PRECEDING) AS top, avg(p) OVER (ORDER BY t DESC) AS mean FROM s EMIT CHANGES;
SELECT k, total - v AS earlier, k || '!' AS name FROM (SELECT k, v, sum(v) OVER (PARTITION BY k ORDER BY t) AS total FROM s) WHERE total > 2 EMIT CHANGES;
SELECT k, t, sum(v + 1) OVER (PARTITION BY lower(k) ORDER BY t % 100) AS total, sum(v) OVER (PARTITION BY lower(k) ORDER BY t % 100 RANGE 10 PRECEDING) AS near FROM s EMIT CHANGES;
SELECT k, t, count(DISTINCT v) OVER (PARTITION BY k ORDER BY t) AS n, first_value(v) IGNORE NULLS OVER (PARTITION BY k ORDER BY t) AS first, count(*) OVER (PARTITION BY k) AS rows FROM s EMIT CHANGES;
SELECT k, t, min(w) OVER (PARTITION BY k ORDER BY t) AS least, bool_and(v > 1) OVER (PARTITION BY k ORDER BY v) AS each FROM s EMIT CHANGES;
SELECT k, max(total) AS top FROM (SELECT k, sum(v) OVER (PARTITION BY k ORDER BY t) AS total FROM s) GROUP BY k EMIT UPDATE;
EXPLAIN STREAMING SELECT k, sum(v) OVER (PARTITION BY k ORDER BY t) AS total, lag(v) OVER (PARTITION BY k ORDER BY t) AS before FROM s EMIT CHANGES;
EXPLAIN STREAMING SELECT row_number() OVER (ORDER BY t) AS n, last_value(v) OVER (ORDER BY t) AS last FROM s EMIT CHANGES;
EXPLAIN STREAMING SELECT ntile(2) OVER (ORDER BY t) AS half, row_number() OVER (ORDER BY t) AS n FROM s EMIT CHANGES;
INSERT INTO s VALUES ('+I', 'a', 10, 1, 0.1, 1.25), ('+I', 'a', 20, 2, 0.2, 1.50), ('+I', 'b', 15, 10, 0.3, NULL), ('+I', 'a', 40, 4, 0.7, 4.00);
INSERT INTO s VALUES ('+I', 'a', 50, 5, 1e16, 5.00), ('+I', 'a', 60, 6, 0.1, 6.00);
INSERT INTO s VALUES ('+I', 'a', 30, 3, -1e16, 3.00), ('+I', 'b', NULL, 7, NULL, 7.77), ('+I', 'A', 40, NULL, 0.4, 4.00);
INSERT INTO s VALUES ('-D', 'a', 20, 2, 0.2, 1.50), ('+I', 'a', 60, 6, 0.1, 6.00), ('+I', NULL, 1, 1, -0.0, 0.01);
INSERT INTO s VALUES ('-D', 'b', 15, 10, 0.3, NULL), ('-D', 'b', NULL, 7, NULL, 7.77), ('+I', 'a', 70, 7, CAST('NaN' AS DOUBLE), 7.00), ('-D', 'a', 10, 1, 0.1, 1.25);

-- Aggregates with an order of their own, quantiles and statistics.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT count(*) AS n, count(v) AS c, avg(v) AS a, stddev(v) AS sd, median(v) AS md, approx_distinct(k) AS ad FROM s EMIT UPDATE;
SELECT count(*) AS n, bit_xor(v) AS x, corr(v, f) AS cr, first_value(k ORDER BY ts, v) AS fv, last_value(k ORDER BY ts, v) AS lv, nth_value(k, 2 ORDER BY ts, v) AS nv FROM s EMIT COMPLETE;
SELECT string_agg(k, ',' ORDER BY k, v) AS l, array_agg(DISTINCT k ORDER BY k) AS d FROM s EMIT UPDATE;
SELECT k, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS p FROM s GROUP BY k EMIT UPDATE;
SELECT k, approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS p FROM s GROUP BY k EMIT UPDATE;
SELECT count(*) FILTER (WHERE v > 1) AS a, sum(v) FILTER (WHERE k = 'a') AS b, count(DISTINCT k) FILTER (WHERE v > 1) AS c FROM s EMIT UPDATE;
SELECT k, sum(DISTINCT v) AS a, avg(DISTINCT v) AS b, count(DISTINCT f) AS c FROM s GROUP BY k EMIT CHANGES;
SELECT array_agg(named_struct('k', k, 'v', v) ORDER BY ts, v) AS l FROM s EMIT UPDATE;
SELECT k, var_pop(f) AS vp, regr_slope(v, f) AS rs, covar_samp(v, f) AS cs FROM s WHERE f < 100 GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

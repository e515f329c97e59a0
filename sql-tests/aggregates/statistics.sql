-- Variance, deviation, covariance, correlation and regression over batches.
CREATE STREAM s (k VARCHAR, x DOUBLE, y DOUBLE);
SELECT k, var_samp(x) AS var_samp, var_pop(x) AS var_pop, stddev(x) AS stddev, stddev_pop(x) AS stddev_pop FROM s GROUP BY k EMIT COMPLETE;
SELECT k, covar_samp(x, y) AS covar_samp, covar_pop(x, y) AS covar_pop, corr(x, y) AS corr FROM s GROUP BY k EMIT COMPLETE;
SELECT k, regr_slope(y, x) AS slope, regr_intercept(y, x) AS intercept, regr_count(y, x) AS n, regr_r2(y, x) AS r2,
  regr_avgx(y, x) AS avgx, regr_avgy(y, x) AS avgy, regr_sxx(y, x) AS sxx, regr_syy(y, x) AS syy, regr_sxy(y, x) AS sxy
FROM s GROUP BY k EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1, 2), ('a', 2, 4), ('b', 5, 5);
INSERT INTO s VALUES ('a', 4, 7), ('b', NULL, 1), ('b', 7, 6);

-- Median, percentiles and approximations that are exact for few values.
CREATE STREAM s (k VARCHAR, v DOUBLE);
SELECT k, median(v) AS median FROM s GROUP BY k EMIT COMPLETE;
SELECT k, percentile_cont(0.25) WITHIN GROUP (ORDER BY v) AS q1 FROM s GROUP BY k EMIT COMPLETE;
SELECT k, approx_distinct(CAST(v AS BIGINT)) AS distinct_values FROM s GROUP BY k EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1), ('a', 2), ('b', 10), ('a', 2);
INSERT INTO s VALUES ('a', 7), ('b', NULL), ('b', 20);

-- Functions that cannot take a row back are computed anew over the groups that change.
CREATE STREAM s (g VARCHAR, k BIGINT, v BIGINT, x DOUBLE);
CREATE VIEW per_key AS SELECT g, k, sum(v) AS v, sum(x) AS x, max(v) AS m FROM s GROUP BY g, k;
SELECT g, sum(x) AS total, avg(x) AS mean, count(*) AS n FROM per_key GROUP BY g EMIT CHANGES;
SELECT g, array_agg(v ORDER BY v DESC, k) AS vs, string_agg(CAST(v AS VARCHAR), '+' ORDER BY k) AS sum FROM per_key GROUP BY g EMIT UPDATE;
SELECT g, median(v) AS median, first_value(k ORDER BY v, k) AS least, last_value(k ORDER BY v, k) AS most FROM per_key GROUP BY g EMIT COMPLETE;
-- The group of no columns has its row before there is anything, and after all has gone.
SELECT array_agg(v ORDER BY v) AS vs, sum(x) AS total FROM per_key WHERE v > 10 EMIT CHANGES;
SELECT g, v > 10 AS big, array_agg(k ORDER BY k) AS ks FROM per_key GROUP BY ROLLUP (g, v > 10) EMIT CHANGES;
SELECT upper(g) AS u, m % 2 AS odd, count(DISTINCT x) AS n, approx_distinct(k) AS about FROM per_key GROUP BY upper(g), m % 2 EMIT CHANGES;
-- And above such an aggregate there is another.
SELECT vs, count(*) AS n FROM (SELECT g, array_agg(v ORDER BY v) AS vs FROM per_key GROUP BY g) GROUP BY vs EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 5, 0.5), ('a', 2, 15, 1.5), ('b', 1, 5, NULL), (NULL, 1, 1, -0.0);
INSERT INTO s VALUES ('a', 1, 10, 2.25), ('b', 1, 10, 'Infinity'), ('b', 2, 3, 0);
INSERT INTO s VALUES ('a', 2, -15, NULL), ('a', 1, -9, 1), ('b', 1, -14, 1), (NULL, 1, NULL, 0.0);
INSERT INTO s VALUES ('c', 3, 30, 'NaN'), ('b', 2, -2, 0.125), (NULL, NULL, 40, 1);

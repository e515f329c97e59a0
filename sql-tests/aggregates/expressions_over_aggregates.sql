-- Expressions of aggregates and of keys.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT upper(k) AS key, sum(v) * 100 / count(*) AS percent, CASE WHEN max(v) > 5 THEN 'big' ELSE 'small' END AS size
FROM s GROUP BY upper(k) EMIT UPDATE;
SELECT length(k) AS len, sum(v + 1) AS total FROM s GROUP BY length(k) EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('A', 2), ('bb', 9);
INSERT INTO s VALUES ('a', 6);

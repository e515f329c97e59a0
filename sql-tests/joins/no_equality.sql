-- Joins without equal columns: of all pairs, by an inequality, and NULL-safe.
CREATE STREAM l (a BIGINT);
CREATE STREAM r (b BIGINT);
SELECT a, b FROM l CROSS JOIN r;
SELECT a, b FROM l JOIN r ON a < b;
SELECT a, b FROM l LEFT JOIN r ON a < b EMIT CHANGES;
SELECT a, b FROM l JOIN r ON a IS NOT DISTINCT FROM b;
INSERT INTO l VALUES (1), (5), (NULL);
INSERT INTO r VALUES (3), (NULL);
INSERT INTO l VALUES (2);
INSERT INTO r VALUES (7), (1);

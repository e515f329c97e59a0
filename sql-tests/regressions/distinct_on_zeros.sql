-- DISTINCT ON groups, to which -0.0 and 0.0 are one key, as NaNs are; OVER, by which it is computed, tells them apart.
CREATE STREAM s (f DOUBLE, r REAL, x INT);
SELECT DISTINCT ON (f) f, x FROM s ORDER BY f, x EMIT CHANGES;
SELECT DISTINCT ON (r, x) r, x FROM s ORDER BY r, x, f EMIT UPDATE;
INSERT INTO s VALUES ('-0.0', '0.0', 2), ('0.0', '-0.0', 1), ('NaN', 'NaN', 3);
INSERT INTO s VALUES ('0.0', '0.0', 1), ('NaN', '-0.0', 1), (NULL, NULL, 2);

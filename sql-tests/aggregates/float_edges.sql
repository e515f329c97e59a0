-- NaN is one key and larger than all; -0.0 and 0.0 are one key.
CREATE STREAM s (f DOUBLE, v BIGINT);
SELECT f, count(*) AS n FROM s GROUP BY f EMIT COMPLETE;
SELECT min(f) AS low, max(f) AS high FROM s EMIT COMPLETE;
INSERT INTO s VALUES ('NaN', 1), (0.0, 2), ('Infinity', 3);
INSERT INTO s VALUES ('NaN', 4), (-0.0, 5), ('-Infinity', 6), (NULL, 7);

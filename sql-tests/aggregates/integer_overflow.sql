-- A sum of BIGINT that leaves its range goes round, as DataFusion's does; DECIMAL has room. An expression that
-- leaves its range fails.
CREATE STREAM s (v BIGINT, u BIGINT UNSIGNED);
SELECT sum(v) AS total, sum(v * CAST(1 AS DECIMAL(19, 0))) AS exact, max(u) AS top, avg(v) AS mean FROM s EMIT COMPLETE;
INSERT INTO s VALUES (9223372036854775807, 18446744073709551615);
INSERT INTO s VALUES (1, 0);
INSERT INTO s VALUES (-2, 1);

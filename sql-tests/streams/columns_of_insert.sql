-- Columns may be named in any order; what is left out is NULL, and values are cast.
CREATE STREAM s (a INT, b VARCHAR, c DOUBLE, d DECIMAL(10, 2), e BOOLEAN, f DATE, g TIMESTAMP(3));
SELECT * FROM s;
INSERT INTO s VALUES (1, 'x', 1.5, 2.25, true, '2026-01-02', '2026-01-02 03:04:05.678');
INSERT INTO s (c, a) VALUES (2, 7);
INSERT INTO s (b) SELECT 'from select ' || column1 FROM (VALUES ('1'), ('2'));
INSERT INTO s (d, c) VALUES ('12345678.90', 'NaN');

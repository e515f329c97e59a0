-- A column named like a keyword of some dialect ended the SELECT list: "expected the end of the statement".
CREATE STREAM s (n BIGINT, top BIGINT, value BIGINT, "end" BIGINT);
SELECT n, top, value, "end" FROM s EMIT APPEND;
INSERT INTO s VALUES (1, 2, 3, 4);
SELECT 1 AS n, 2 AS top;

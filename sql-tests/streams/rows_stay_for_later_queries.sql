-- A memory stream keeps its rows: a new query reads from the first one, step by step.
CREATE STREAM s (x BIGINT);
INSERT INTO s VALUES (1), (2);
INSERT INTO s VALUES (3);
SELECT x FROM s;
SELECT sum(x) AS total FROM s EMIT COMPLETE;
INSERT INTO s VALUES (4);

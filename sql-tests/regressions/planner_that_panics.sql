-- A panic in DataFusion's planner ends the statement, not the program.
CREATE STREAM s (k BIGINT);
-- error: DataFusion or a function panicked over this statement
SELECT (SELECT FROM s) EMIT CHANGES;
SELECT k + 1 AS next FROM s;
INSERT INTO s VALUES (1);

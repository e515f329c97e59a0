-- A limit cuts a step into several batches.
CREATE STREAM s (x BIGINT) WITH (connector = 'memory', max_rows_per_batch = 2);
SELECT x, x * x AS square FROM s;
INSERT INTO s VALUES (1), (2), (3), (4), (5);

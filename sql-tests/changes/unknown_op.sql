-- oracle: off the query fails, and that is what is shown
CREATE STREAM s (k BIGINT, op VARCHAR) WITH (op_column = 'op');
SELECT k FROM s EMIT CHANGES;
-- error: a change says neither that a row comes nor that it goes: op=`U`
INSERT INTO s VALUES (1, 'U');

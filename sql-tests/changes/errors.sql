-- What is wrong with a stream of changes is told when it is created, or with the first record that shows it.
-- error: unknown column of stream `s`: `opp`
CREATE STREAM s (k BIGINT, op VARCHAR) WITH (op_column = 'opp');
-- error: op_column must be VARCHAR
CREATE STREAM s (k BIGINT, op VARCHAR) WITH (op_column = 'k');
-- error: a stream of changes has neither watermark nor METADATA
CREATE STREAM s (k BIGINT, op VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts) WITH (op_column = 'op');
CREATE STREAM s (k BIGINT, op VARCHAR) WITH (op_column = 'op');
-- error: in APPEND mode
SELECT k FROM s EMIT APPEND;
-- error: UPDATE mode needs a key of the result
SELECT k FROM s EMIT UPDATE;

-- error: did you mean `parquet`?
CREATE SINK k WITH (connector = 'parket', path = 'x');
-- error: missing option
CREATE SINK k WITH (path = 'x');
-- error: missing option: `format`
CREATE SINK k WITH (connector = 'file', path = 'x');
-- error: did you mean `partition_by`?
CREATE SINK k WITH (connector = 'parquet', path = 'x', partitionby = 'a');

-- Wrong declarations name what is wrong and the nearest right word.
-- error: did you mean `file`?
CREATE STREAM s (v BIGINT) WITH (connector = 'flie', path = 'x', format = 'json');
-- error: did you mean `json`?
CREATE STREAM s (v BIGINT) WITH (connector = 'file', path = 'x', format = 'jsn');
-- error: did you mean `max_rows_per_batch`?
CREATE STREAM s (v BIGINT) WITH (connector = 'memory', max_row_per_batch = 1);
-- error: missing option: `path`
CREATE STREAM s (v BIGINT) WITH (connector = 'file', format = 'json');
-- error: did you mean `ts`?
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR tz);
-- error: not a timestamp
CREATE STREAM s (ts BIGINT, WATERMARK FOR ts);
-- error: watermark must be the column, or the column minus an interval
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts AS ts + INTERVAL '5' SECOND);
-- error: negative
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '-5' SECOND);
-- error: column given twice
CREATE STREAM s (a INT, a INT);
-- error: final_watermark, idle_timeout and max_future are about a watermark
CREATE STREAM s (v BIGINT) WITH (connector = 'memory', idle_timeout = '5 seconds');
-- error: unknown metadata of connector `rate`
CREATE STREAM s (v BIGINT, p INT METADATA FROM 'partition') WITH (connector = 'rate');
-- error: column `b`
CREATE STREAM s (a INT, b AS c + 1);
CREATE STREAM s (a INT);
-- error: name is taken by a stream: `s`
CREATE STREAM s (a INT);
-- error: name is taken by a stream: `s`
CREATE SINK s WITH (connector = 'console');
-- error: name is taken by a stream: `s`
CREATE TABLE s AS SELECT 1 AS one;
CREATE STREAM IF NOT EXISTS s (b INT);
CREATE OR REPLACE STREAM s (c INT);
DESCRIBE s;

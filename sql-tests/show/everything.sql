-- SHOW, DESCRIBE and SHOW CREATE print the core spelling; secrets are not shown.
CREATE STREAM plain (a INT, ts TIMESTAMP(3), b AS a + 1, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM secret (value VARCHAR) WITH (connector = 'memory');
CREATE SINK out WITH (connector = 'console', num_rows = 5);
CREATE TABLE t AS SELECT 1 AS one;
CREATE VIEW v AS SELECT a FROM plain;
SHOW STREAMS;
SHOW SINKS;
SHOW TABLES;
SHOW QUERIES;
DESCRIBE plain;
DESCRIBE SINK out;
DESCRIBE t;
SHOW CREATE STREAM plain;
SHOW CREATE SINK out;
DROP STREAM secret;
SHOW STREAMS;

-- INSERT INTO a sink starts a named query; a memory sink is a table too.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK shown WITH (connector = 'console');
CREATE SINK kept WITH (connector = 'memory');
INSERT INTO shown SELECT k, v FROM s WHERE v > 1 EMIT APPEND WITH (name = 'show_q');
INSERT INTO kept SELECT k, sum(v) AS total FROM s GROUP BY k EMIT UPDATE WITH (name = 'keep_q');
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('b', 3);
SELECT * FROM kept ORDER BY k;
SHOW SINKS;
SHOW QUERIES;
STOP QUERY show_q;
INSERT INTO s VALUES ('b', 4);
SELECT * FROM kept ORDER BY k;
-- error: sink `kept` is in use by query `keep_q`
DROP SINK kept;
STOP QUERY keep_q;
DROP SINK kept;
DROP SINK IF EXISTS kept;
DROP SINK shown;
SHOW SINKS;

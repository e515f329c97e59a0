-- A query without a checkpoint reads from the first row again; its table kept the rows of the run before.
CREATE STREAM s (k VARCHAR);
CREATE SINK o WITH (connector = 'memory');
-- oracle: off the query is stopped on the way
INSERT INTO o SELECT k FROM s EMIT APPEND WITH (name = 'q');
INSERT INTO s VALUES ('a');
STOP QUERY q;
-- oracle: off the query is stopped on the way
INSERT INTO o SELECT k FROM s EMIT APPEND WITH (name = 'q');
-- ('a') once
SELECT * FROM o;

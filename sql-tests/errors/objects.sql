-- Objects that are not there, are of another kind, or are in use.
CREATE STREAM s (v BIGINT);
CREATE SINK o WITH (connector = 'memory');
INSERT INTO o SELECT v FROM s WITH (name = 'q');
-- error: unknown sink: `s`
DROP SINK s;
-- error: unknown stream: `o`
DROP STREAM o;
-- error: not of that kind: `s` is a stream
SHOW CREATE SINK s;
-- error: `nothing`
DESCRIBE nothing;
-- error: q
DROP STREAM s;
-- error: q
DROP SINK o;
-- error: a stream can only be read by a continuous query
DELETE FROM s;
-- error: a stream can only be read by a continuous query
UPDATE s SET v = 1;
-- error: rows of a stream
INSERT OVERWRITE s VALUES (1);
STOP QUERY q;
DROP SINK o;
DROP STREAM s;

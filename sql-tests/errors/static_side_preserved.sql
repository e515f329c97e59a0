CREATE TABLE t AS SELECT column1 AS x FROM (VALUES (1));
CREATE STREAM s (x BIGINT);
-- error: put the stream on the side whose rows are kept
SELECT * FROM t LEFT JOIN s ON t.x = s.x;
-- error: put the stream on the side whose rows are kept
SELECT * FROM t FULL JOIN s ON t.x = s.x;

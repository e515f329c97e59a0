-- Joins whose rows cannot be told in a mode are refused, with the reason and the way out.
CREATE STREAM a (x BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (x BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
-- error: a Left join of two streams in APPEND mode needs to know when a row can find no partner any more
SELECT * FROM a LEFT JOIN b ON a.x = b.x EMIT APPEND;
-- error: a Full join of two streams in APPEND mode
SELECT * FROM a FULL JOIN b ON a.x = b.x AND a.ts <= b.ts EMIT APPEND;
-- error: UPDATE mode needs a key of the result, and none can be derived
SELECT * FROM a LEFT JOIN b ON a.x = b.x EMIT UPDATE;
-- error: a LeftAnti join of two streams in APPEND mode
SELECT * FROM a WHERE x NOT IN (SELECT x FROM b) EMIT APPEND;
-- error: now(), random() and the like in a join condition
SELECT a.x FROM a JOIN b ON a.x = b.x AND random() * a.x < b.x;

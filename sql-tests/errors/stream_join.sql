-- What is not incremental is refused at planning, with the reason and the way out.
CREATE STREAM a (x BIGINT);
CREATE STREAM b (x BIGINT);
-- error: joining two streams is not incremental yet
SELECT * FROM a JOIN b ON a.x = b.x;
-- error: joining two streams
SELECT * FROM a LEFT JOIN b ON a.x = b.x;
-- error: join
SELECT * FROM a WHERE x IN (SELECT x FROM b);

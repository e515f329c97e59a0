-- Spark's OPTIONS takes numbers and booleans without quotes; they were refused: "expected `=` after the option's key".
CREATE TABLE r USING rate OPTIONS (rows_per_batch 2, num_rows 4);
CREATE TABLE m (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts) USING memory OPTIONS (final_watermark true);
SHOW CREATE STREAM r;
SHOW CREATE STREAM m;
-- error: expected `=` after the option's key
CREATE TABLE x USING rate OPTIONS (rows_per_batch num_rows);
SELECT count(*) AS n FROM r EMIT COMPLETE TRIGGER AVAILABLE NOW;

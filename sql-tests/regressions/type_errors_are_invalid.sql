-- What is wrong with a statement is `invalid`, not `data`: no row has been read yet.
CREATE STREAM s (k VARCHAR, v BIGINT);
-- error: SUM not supported for Null
SELECT sum(NULL) AS n FROM s EMIT UPDATE;
-- error: cannot access field
SELECT k.x FROM s;
-- error: SUM not supported for Null
SELECT sum(NULL) AS n;

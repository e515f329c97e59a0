CREATE STREAM s (k VARCHAR, v BIGINT);
-- error: ORDER BY over a stream
SELECT v FROM s ORDER BY v;
-- error: ORDER BY with LIMIT over a stream is final in APPEND mode only
SELECT v FROM s ORDER BY v LIMIT 3 EMIT APPEND;
-- error: now(), random() and the like
SELECT v, lag(v) OVER (ORDER BY random()) AS n FROM s EMIT CHANGES;
-- error: COMPLETE mode needs a result that is kept
SELECT v FROM s ORDER BY v EMIT COMPLETE;
-- error: UPDATE mode needs a key of the result, and none can be derived
SELECT v, rank() OVER (ORDER BY v) AS n FROM s;
-- error: ORDER BY
SELECT k, sum(v) AS t FROM s GROUP BY k ORDER BY t EMIT UPDATE;
-- error: WITH RECURSIVE
WITH RECURSIVE r AS (SELECT v FROM s UNION ALL SELECT v + 1 FROM r WHERE v < 3) SELECT * FROM r;

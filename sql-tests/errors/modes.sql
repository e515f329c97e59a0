CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3));
-- error: COMPLETE mode needs a result that is kept
SELECT v FROM s EMIT COMPLETE;
-- error: in APPEND mode needs an event-time column with a watermark
SELECT k, count(*) AS n FROM s GROUP BY k EMIT APPEND;
-- error: in APPEND mode needs an event-time column with a watermark
SELECT ts, count(*) AS n FROM s GROUP BY ts EMIT APPEND;
-- error: UPDATE mode needs the key of the result in the SELECT list; add `k`
SELECT count(*) AS n FROM s GROUP BY k EMIT UPDATE;
-- error: in APPEND mode needs an event-time column with a watermark
SELECT max(n) AS most FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT APPEND;
-- error: EMIT belongs to a continuous query
SELECT 1 AS one EMIT UPDATE;
-- error: expected APPEND, UPDATE, COMPLETE, CHANGES
SELECT v FROM s EMIT UPDAT;
-- error: OUTPUT MODE is not a clause; write EMIT UPDATE
SELECT v FROM s OUTPUT MODE UPDATE;

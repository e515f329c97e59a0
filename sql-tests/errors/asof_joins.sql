-- What an ASOF JOIN cannot be says which condition, and the form that works.
CREATE STREAM l (k VARCHAR, v BIGINT, w STRUCT<a BIGINT>, ts TIMESTAMP(3), proc AS PROCTIME(), WATERMARK FOR ts);
CREATE STREAM r (k VARCHAR, v BIGINT, w STRUCT<a BIGINT>, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM plain (k VARCHAR, v BIGINT);
CREATE STREAM changes (k VARCHAR, v BIGINT, op VARCHAR) WITH (op_column = 'op');
CREATE TABLE t AS VALUES ('a', 1);
CREATE MATERIALIZED VIEW kept AS SELECT k, max(v) AS v FROM r GROUP BY k;
-- error: MATCH_CONDITION compares a time of the left side with one of the right side by >=, >, <= or <
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts = r.ts) ON l.k = r.k;
-- error: MATCH_CONDITION compares a time of the left side with one of the right side
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= l.ts) ON l.k = r.k;
-- error: MATCH_CONDITION compares times, dates, integers and decimals; cast both sides to one of them: type=`Utf8View`
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.k >= r.k);
-- error: values of these types cannot be compared; cast one of them
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.w);
-- error: ON of an ASOF JOIN takes equalities of the two sides, joined by AND
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) ON l.k = r.k AND r.v > 1;
-- error: ON of an ASOF JOIN compares no structs, lists and maps
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) ON l.w = r.w;
-- error: a subquery in a condition of an ASOF JOIN is not supported
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) ON l.k = (SELECT r.k);
-- error: NATURAL JOIN with FOR SYSTEM_TIME AS OF is not supported; write USING (k)
SELECT * FROM l NATURAL JOIN r FOR SYSTEM_TIME AS OF l.ts;
-- error: no field named m
SELECT * FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) USING (m);
-- error: ASOF JOIN of two streams in APPEND mode needs to know when no nearer right row can come any more
SELECT l.v FROM l ASOF JOIN r MATCH_CONDITION (l.ts <= r.ts) ON l.k = r.k EMIT APPEND;
-- error: ASOF JOIN of two streams in APPEND mode needs to know
SELECT l.v FROM l ASOF JOIN plain r MATCH_CONDITION (l.v >= r.v) ON l.k = r.k EMIT APPEND;
-- error: rows of this result change or go again
SELECT l.v FROM l ASOF JOIN changes c MATCH_CONDITION (l.v >= c.v) ON l.k = c.k EMIT APPEND;
-- error: UPDATE mode needs a key of the result, and none can be derived
SELECT l.v FROM l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) ON l.k = r.k EMIT UPDATE;
-- error: now(), random() and the like in a join condition would give other pairs in every batch
SELECT l.v FROM l ASOF JOIN r MATCH_CONDITION (l.v + CAST(random() AS BIGINT) >= r.v) ON l.k = r.k EMIT CHANGES;
-- error: FOR SYSTEM_TIME AS OF over a stream takes an event time of the left side, as l.ts
SELECT * FROM l JOIN r FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:00' ON l.k = r.k;
-- error: by now() or PROCTIME() every split into batches would give another answer
SELECT * FROM l JOIN r FOR SYSTEM_TIME AS OF l.proc ON l.k = r.k;
-- error: event time is not given, and the relation has none of its own; write WATERMARK FOR ts in the stream that is joined
SELECT * FROM l JOIN plain FOR SYSTEM_TIME AS OF l.ts AS p ON l.k = p.k;
-- error: event time is not given
SELECT * FROM l JOIN kept FOR SYSTEM_TIME AS OF l.ts AS p ON l.k = p.k;
-- error: a table has no versions, only a stream with a WATERMARK has
SELECT * FROM l JOIN t FOR SYSTEM_TIME AS OF l.ts ON l.k = t.column1;
-- error: a version of a table (FOR SYSTEM_TIME AS OF and the like) is not supported but as l [LEFT] JOIN r
SELECT * FROM l RIGHT JOIN r FOR SYSTEM_TIME AS OF l.ts ON l.k = r.k;

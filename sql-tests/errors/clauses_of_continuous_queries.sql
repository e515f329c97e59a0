-- EMIT, TRIGGER and WITH of a query.
CREATE STREAM s (v BIGINT);
-- error: stand at most once each
SELECT v FROM s EMIT APPEND EMIT UPDATE;
-- error: not an interval: `x`
SELECT v FROM s TRIGGER EVERY 'x';
-- error: months and years have no fixed length
SELECT v FROM s TRIGGER EVERY '1 month';
-- error: expected EVERY '<interval>', AVAILABLE NOW or ONCE
SELECT v FROM s TRIGGER SOMETIMES;
-- error: unknown option of the query: `nam`; did you mean `name`?
SELECT v FROM s WITH (nam = 'q');
-- error: option given twice: `name` of query
SELECT v FROM s WITH (name = 'q', name = 'r');
SELECT v FROM s WITH (name = 'q');
-- error: `q`
SELECT v FROM s WITH (name = 'q');
-- error: unknown query
STOP QUERY r;
STOP QUERY q;
-- error: COMPLETE mode needs a result that is kept
CREATE MATERIALIZED VIEW mv AS SELECT v FROM s EMIT COMPLETE;
-- error: unknown query
SELECT * FROM state('nope');
-- error: progress() takes the name of a query as text
SELECT * FROM progress();

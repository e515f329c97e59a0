-- Statements that are none, and such of other engines.
-- error: did you mean
SELEC 1;
-- error: write STOP QUERY
TERMINATE q;
-- error: unknown query: `q`
STOP QUERY q;
STOP QUERY IF EXISTS q;
-- error: unknown setting
SET acequia.watermark.polcy = 'max';
-- error: unknown watermark policy: `mix`
SET acequia.watermark.policy = 'mix';
-- error: unknown stream
DROP STREAM nothing;
DROP STREAM IF EXISTS nothing;
-- error: unknown stream, sink, view or table
SHOW CREATE STREAM nothing;
-- error: nothing
SELECT * FROM nothing;
-- error: query
SELECT * FROM progress('q');

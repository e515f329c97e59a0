-- Watermarks on both sides: a trade comes once, when no earlier quote can come, and rows leave.
CREATE STREAM trades (id BIGINT, symbol VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5 seconds');
CREATE STREAM quotes (symbol VARCHAR, ts TIMESTAMP(3), bid BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds');
SELECT t.id, t.ts, q.ts AS quoted, q.bid
FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.symbol = q.symbol EMIT APPEND;
SELECT t.id, q.ts AS quoted, q.bid
FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts > q.ts) ON t.symbol = q.symbol EMIT CHANGES;
SELECT window.start AS start, count(*) AS n, count(bid) AS quoted, max(bid) AS top
FROM (SELECT t.ts, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.symbol = q.symbol)
GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT window.start AS start, count(*) AS n, max(bid) AS top
FROM (SELECT t.ts, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts > q.ts) ON t.symbol = q.symbol)
GROUP BY window(ts, '10 seconds') EMIT UPDATE;
SELECT w.symbol, w.at, w.n, q.bid
FROM (SELECT symbol, window.end AS at, count(*) AS n FROM trades GROUP BY symbol, window(ts, '10 seconds')) w
ASOF JOIN quotes q MATCH_CONDITION (w.at >= q.ts) USING (symbol) EMIT APPEND;
SELECT w.symbol, w.at, w.n, q.bid
FROM (SELECT symbol, window.end AS at, count(*) AS n FROM trades GROUP BY symbol, window(ts, '10 seconds')) w
ASOF JOIN quotes q MATCH_CONDITION (w.at >= q.ts) ON w.symbol = q.symbol EMIT UPDATE;
INSERT INTO trades VALUES (1, 'a', '2026-01-01 00:00:02'), (2, 'a', '2026-01-01 00:00:04'), (3, NULL, '2026-01-01 00:00:04'), (4, 'a', NULL);
INSERT INTO quotes VALUES ('a', '2026-01-01 00:00:01', 10), ('a', '2026-01-01 00:00:03', 20);
BEGIN;
INSERT INTO trades VALUES (5, 'b', '2026-01-01 00:00:10');
INSERT INTO quotes VALUES ('a', '2026-01-01 00:00:02', 15), ('b', '2026-01-01 00:00:09', 30);
COMMIT;
INSERT INTO trades VALUES (6, 'a', '2026-01-01 00:00:20'), (7, 'a', '2026-01-01 00:00:03');
INSERT INTO quotes VALUES ('a', '2026-01-01 00:00:19', 40), ('a', '2026-01-01 00:00:03', 50);
INSERT INTO quotes VALUES ('a', '2026-01-01 00:01:00', 60), ('c', '2026-01-01 00:01:00', 70);
INSERT INTO trades VALUES (8, 'a', '2026-01-01 00:01:10'), (9, 'c', '2026-01-01 00:01:20');
INSERT INTO quotes VALUES ('a', '2026-01-01 00:01:20', 80);

-- Every trade with the last quote of its symbol: late quotes change it. Ties of one time go by all other columns.
CREATE STREAM trades (id BIGINT, symbol VARCHAR, ts BIGINT);
CREATE STREAM quotes (symbol VARCHAR, ts BIGINT, bid BIGINT, ask BIGINT);
SELECT t.id, t.ts, q.ts AS quoted, q.bid, q.ask
FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.symbol = q.symbol EMIT CHANGES;
SELECT t.id, q.bid FROM trades t LEFT ASOF JOIN quotes q MATCH_CONDITION (q.ts < t.ts) USING (symbol) EMIT CHANGES;
SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts <= q.ts) ON t.symbol = q.symbol EMIT CHANGES;
SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts < q.ts) ON q.symbol = t.symbol EMIT CHANGES;
SELECT t.id, q.symbol, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) EMIT CHANGES;
SELECT id, count(*) AS n, max(bid) AS bid
FROM (SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.symbol = q.symbol)
GROUP BY id EMIT COMPLETE;
INSERT INTO trades VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b', 10), (4, NULL, 10), (5, 'a', NULL), (2, 'a', 20);
INSERT INTO quotes VALUES ('a', 10, 1, 1), ('b', 11, 2, 2), (NULL, 1, 9, 9), ('a', NULL, 9, 9);
INSERT INTO quotes VALUES ('a', 15, 3, 3), ('a', 10, 1, 2), ('a', 10, 1, NULL), ('a', 30, 4, 4);
INSERT INTO trades VALUES (6, 'a', 15), (7, 'b', 11), (8, 'c', 50);
INSERT INTO quotes VALUES ('c', 50, 5, 5), ('b', 9, 6, 6), ('a', 12, 7, 7);

-- Static tables: on the right every row finds its own one at once, without state; both sides static is a plain query.
CREATE STREAM trades (id BIGINT, symbol VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM days (day BIGINT, sold BIGINT);
CREATE TABLE rates AS SELECT column1 AS symbol, arrow_cast(column2, 'Timestamp(Second, None)') AS since, column3 AS rate
FROM (VALUES ('a', '2026-01-01 00:00:00', 1.5), ('a', '2026-01-01 00:00:10', 2.5), ('a', '2026-01-01 00:00:10', 2.0), ('b', '2026-01-01 00:00:05', 7.5));
CREATE TABLE bands AS VALUES (0, 'low'), (10, 'high');
CREATE TABLE times AS VALUES ('a', TIMESTAMP '2026-01-01 00:00:11'), ('b', TIMESTAMP '2026-01-01 00:00:01'), (NULL, TIMESTAMP '2026-01-01 00:00:11');
SELECT t.column1, t.column2, r.rate FROM times t ASOF JOIN rates r MATCH_CONDITION (t.column2 >= r.since) ON t.column1 = r.symbol ORDER BY 1;
SELECT t.symbol, r.rate FROM (SELECT column1 AS symbol, column2 AS at FROM times) t ASOF JOIN rates r MATCH_CONDITION (t.at <= r.since) USING (symbol) ORDER BY 1;
SELECT t.id, r.since, r.rate FROM trades t ASOF JOIN rates r MATCH_CONDITION (t.ts >= r.since) ON t.symbol = r.symbol;
SELECT window.start AS start, max(rate) AS rate
FROM (SELECT t.ts, r.rate FROM trades t ASOF JOIN rates r MATCH_CONDITION (t.ts >= r.since) USING (symbol))
GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT d.day, d.sold, b.column2 AS band
FROM (SELECT day, sum(sold) AS sold FROM days GROUP BY day) d ASOF JOIN bands b MATCH_CONDITION (d.sold >= b.column1) EMIT UPDATE;
INSERT INTO trades VALUES (1, 'a', '2026-01-01 00:00:02'), (2, 'a', '2026-01-01 00:00:10'), (3, 'b', '2026-01-01 00:00:04'), (4, 'c', '2026-01-01 00:00:12');
INSERT INTO trades VALUES (5, 'a', '2026-01-01 00:00:30'), (6, 'b', '2026-01-01 00:00:40');
INSERT INTO days VALUES (1, 3), (2, 12), (3, -1);
INSERT INTO days VALUES (1, 8), (3, 1);

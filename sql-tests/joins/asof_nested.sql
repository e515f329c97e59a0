-- Several in a row, in parentheses, below views and beside other joins; what EXPLAIN says of them.
CREATE STREAM trades (id BIGINT, k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM quotes (k VARCHAR, ts TIMESTAMP(3), bid BIGINT, WATERMARK FOR ts);
CREATE STREAM news (ts TIMESTAMP(3), text VARCHAR, WATERMARK FOR ts);
CREATE VIEW quoted AS SELECT t.*, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) USING (k);
EXPLAIN STREAMING SELECT id, bid FROM quoted EMIT APPEND;
EXPLAIN STREAMING SELECT t.id, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts < q.ts) EMIT CHANGES;
SELECT t.id, q.bid, n.text, u.id AS later FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) ON t.k = q.k
ASOF JOIN news n MATCH_CONDITION (t.ts >= n.ts) JOIN trades u ON u.k = t.k AND u.id > t.id EMIT CHANGES;
SELECT x.id, x.text FROM (trades t ASOF JOIN (news n CROSS JOIN (SELECT 1 AS one)) MATCH_CONDITION (t.ts >= n.ts)) AS x EMIT APPEND;
SELECT id, bid, text FROM quoted v ASOF JOIN news n MATCH_CONDITION (v.ts >= n.ts) EMIT APPEND;
SELECT id, (SELECT max(bid) FROM quoted v WHERE v.k = t.k) AS top FROM trades t EMIT CHANGES;
SELECT o.id FROM trades o WHERE o.id IN (SELECT t.id FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) USING (k) WHERE q.bid > 15) EMIT CHANGES;
SELECT a.id, b.id AS before FROM trades a ASOF JOIN trades b MATCH_CONDITION (a.ts > b.ts) ON a.k = b.k EMIT APPEND;
INSERT INTO trades VALUES (1, 'a', '2026-01-01 00:00:05'), (2, 'b', '2026-01-01 00:00:06');
INSERT INTO quotes VALUES ('a', '2026-01-01 00:00:01', 10), ('b', '2026-01-01 00:00:02', 20), ('a', '2026-01-01 00:00:04', 30);
INSERT INTO news VALUES ('2026-01-01 00:00:03', 'x'), ('2026-01-01 00:00:20', 'y');
BEGIN;
INSERT INTO trades VALUES (3, 'a', '2026-01-01 00:00:30');
INSERT INTO quotes VALUES ('a', '2026-01-01 00:00:30', 40);
INSERT INTO news VALUES ('2026-01-01 00:00:30', 'z');
COMMIT;

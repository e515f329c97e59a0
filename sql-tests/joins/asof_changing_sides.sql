-- Sides whose rows are taken back: an aggregate on either side, a CDC stream, and static rows on the left.
CREATE STREAM trades (id BIGINT, ts BIGINT, op VARCHAR) WITH (op_column = 'op');
CREATE STREAM quotes (ts BIGINT, bid BIGINT, op VARCHAR) WITH (op_column = 'op');
CREATE STREAM days (day BIGINT, sold BIGINT);
CREATE TABLE plan AS VALUES (1, 15), (2, 25);
SELECT t.id, q.ts AS quoted, q.bid FROM trades t ASOF JOIN quotes q MATCH_CONDITION (t.ts >= q.ts) EMIT CHANGES;
SELECT t.id, d.day, d.sold
FROM trades t ASOF JOIN (SELECT day, sum(sold) AS sold FROM days GROUP BY day) d MATCH_CONDITION (t.ts > d.day) EMIT CHANGES;
SELECT d.day, d.sold, q.bid
FROM (SELECT day, sum(sold) AS sold FROM days GROUP BY day) d ASOF JOIN quotes q MATCH_CONDITION (d.day >= q.ts) EMIT UPDATE;
SELECT d.day, d.sold, q.bid
FROM (SELECT day, sum(sold) AS sold FROM days GROUP BY day) d ASOF JOIN quotes q MATCH_CONDITION (d.day >= q.ts) EMIT COMPLETE;
SELECT p.column1 AS id, q.bid FROM plan p ASOF JOIN quotes q MATCH_CONDITION (p.column2 >= q.ts) EMIT CHANGES;
INSERT INTO trades VALUES (1, 10, '+I'), (2, 20, '+I');
INSERT INTO quotes VALUES (5, 100, '+I'), (15, 200, '+I');
INSERT INTO days VALUES (5, 1), (15, 2);
INSERT INTO quotes VALUES (15, 200, '-D'), (12, 300, '+I');
INSERT INTO days VALUES (15, 5);
BEGIN;
INSERT INTO quotes VALUES (12, 300, '-U'), (12, 301, '+U'), (5, 100, '-D');
INSERT INTO trades VALUES (2, 20, '-U'), (2, 11, '+U');
COMMIT;
INSERT INTO quotes VALUES (12, 301, '-D');

-- An aggregate, DISTINCT and UNION over UNION ALL were refused as "planned for several partitions".
-- The branches of a UNION ALL are partitions, each sorted by itself where an aggregate wants an order.
CREATE STREAM a (id BIGINT, k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM b (id BIGINT, k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE SINK totals WITH (connector = 'memory');
CREATE SINK keys WITH (connector = 'memory');
CREATE SINK windows WITH (connector = 'memory');
INSERT INTO totals SELECT k, count(*) AS n, array_agg(id ORDER BY id) AS ids
FROM (SELECT id, k FROM a UNION ALL SELECT id, k FROM b) GROUP BY k EMIT UPDATE WITH (name = 'totals_q');
INSERT INTO keys SELECT k FROM a UNION SELECT k FROM b EMIT APPEND WITH (name = 'keys_q');
INSERT INTO windows SELECT window.start AS start, count(*) AS n
FROM (SELECT ts FROM a UNION ALL SELECT ts FROM b) GROUP BY window(ts, '10 seconds') EMIT APPEND WITH (name = 'windows_q');
BEGIN;
INSERT INTO a VALUES (1, 'x', TIMESTAMP '2020-01-01T00:00:01'), (4, 'x', TIMESTAMP '2020-01-01T00:00:02');
INSERT INTO b VALUES (2, 'x', TIMESTAMP '2020-01-01T00:00:03'), (3, 'x', TIMESTAMP '2020-01-01T00:00:12');
COMMIT;
INSERT INTO b VALUES (5, NULL, TIMESTAMP '2020-01-01T00:00:40');
INSERT INTO a VALUES (6, 'x', TIMESTAMP '2020-01-01T00:00:30');
-- (NULL, 1, [5]), ('x', 5, [1, 2, 3, 4, 6])
SELECT * FROM totals;
-- NULL, 'x'
SELECT * FROM keys;
-- (00:00:00, 3), (00:00:10, 1): the slower stream holds the watermark at 00:00:25
SELECT * FROM windows;

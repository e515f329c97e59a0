-- Two streams with different delays: the lower watermark holds, whatever the order of the branches.
CREATE STREAM a (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '30' SECOND);
SELECT window.start AS start, sum(v) AS total FROM (SELECT v, ts FROM a UNION ALL SELECT v, ts FROM b) GROUP BY window(ts, '10 seconds') EMIT APPEND WITH (name = 'ab');
SELECT window.start AS start, sum(v) AS total FROM (SELECT v, ts FROM b UNION ALL SELECT v, ts FROM a) GROUP BY window(ts, '10 seconds') EMIT APPEND WITH (name = 'ba');
BEGIN;
INSERT INTO a VALUES (1, '2026-01-01 00:01:00');
INSERT INTO b VALUES (2, '2026-01-01 00:00:45');
COMMIT;
INSERT INTO a VALUES (4, '2026-01-01 00:00:15'), (8, '2026-01-01 00:00:09');
INSERT INTO b VALUES (16, '2026-01-01 00:01:10');

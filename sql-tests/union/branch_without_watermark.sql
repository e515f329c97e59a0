-- A branch without a watermark has no final rows: APPEND is refused, UPDATE keeps all.
CREATE STREAM a (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (v BIGINT, ts TIMESTAMP(3));
-- error: needs an event-time column with a watermark
SELECT window.start AS start, sum(v) AS total FROM (SELECT v, ts FROM a UNION ALL SELECT v, ts FROM b) GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT window.start AS start, sum(v) AS total FROM (SELECT v, ts FROM a UNION ALL SELECT v, ts FROM b) GROUP BY window(ts, '10 seconds') EMIT UPDATE;
SELECT v FROM a UNION ALL SELECT v FROM b;
INSERT INTO a VALUES (1, '2026-01-01 00:01:00');
INSERT INTO b VALUES (2, '2026-01-01 00:00:05');
INSERT INTO a VALUES (4, '2026-01-01 00:00:01');

-- A time too far ahead of the clock, which shows 2026-01-01, is used and counted, and does not make the rest late.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts)
WITH (connector = 'memory', max_future = '1 day');
CREATE SINK b WITH (connector = 'blackhole');
INSERT INTO b SELECT window(ts, '10 seconds')['start'] AS w, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds')
EMIT APPEND WITH (name = 'q');
SELECT window(ts, '10 seconds')['start'] AS w, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT UPDATE;
INSERT INTO s VALUES (1, '2026-01-01 00:00:01'), (2, '2226-01-01 00:00:00'), (3, NULL);
INSERT INTO s VALUES (4, '2026-01-01 00:00:05'), (5, '2026-01-03 00:00:00');
-- A day ahead, and not more: it moves the watermark.
INSERT INTO s VALUES (6, '2026-01-02 00:00:00');
INSERT INTO s VALUES (7, '2026-01-01 00:00:06'), (8, '2226-01-01 00:00:01');
SELECT sum(future_rows) AS future, sum(late_rows) AS late FROM progress('q');

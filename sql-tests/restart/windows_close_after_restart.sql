-- A restart goes on with the watermark of before: late rows stay late, and open windows close.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE SINK out WITH (connector = 'memory');
INSERT INTO out SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES (1, '2026-01-01 00:00:01'), (2, '2026-01-01 00:00:17');
STOP QUERY q;
INSERT INTO s VALUES (4, '2026-01-01 00:00:02'), (8, '2026-01-01 00:00:12');
INSERT INTO out SELECT window.start AS start, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES (16, '2026-01-01 00:00:25');
-- (00:00, 1), (00:10, 10)
SELECT * FROM out ORDER BY start;

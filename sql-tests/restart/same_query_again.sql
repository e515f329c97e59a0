-- STOP QUERY and the same INSERT again is a restart: it goes on behind its last batch, with its state and watermark.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE SINK out WITH (connector = 'memory');
INSERT INTO out SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT APPEND
WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:08');
STOP QUERY q;
-- While no query runs, rows stay in the stream.
INSERT INTO s VALUES ('a', 4, '2026-01-01 00:00:03'), ('a', 8, '2026-01-01 00:00:12');
INSERT INTO out SELECT window.start AS start, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k EMIT APPEND
WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 16, '2026-01-01 00:00:03'), ('a', 32, '2026-01-01 00:00:25');
SELECT * FROM out ORDER BY start, k;

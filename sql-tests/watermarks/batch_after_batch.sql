-- The watermark is a constant of a batch; what a batch sees counts from the next one on.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);
SELECT window.end AS "end", sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND;
-- 00:00:05 is below 00:01:00 minus ten seconds, yet in time: its batch has no watermark.
INSERT INTO s VALUES (1, '2026-01-01 00:01:00'), (2, '2026-01-01 00:00:05');
INSERT INTO s VALUES (4, '2026-01-01 00:00:06');
-- The window's end is exactly the watermark, 00:00:50: late. The one after it is in time.
INSERT INTO s VALUES (8, '2026-01-01 00:00:49.999'), (16, '2026-01-01 00:00:50');

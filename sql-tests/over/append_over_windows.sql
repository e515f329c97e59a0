-- Windows as they close, each beside the one before of its key: OVER by the end of the window is final with the window.
CREATE STREAM s (k INT, x INT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '2 seconds');
SELECT k, window_end, n, n - lag(n) OVER (PARTITION BY k ORDER BY window_end) AS more, sum(n) OVER (PARTITION BY k ORDER BY window_end) AS total
FROM (SELECT k, window_start, window_end, count(*) AS n FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10 seconds') GROUP BY k, window_start, window_end)
EMIT APPEND WITH (name = 'trend');
SELECT k, window_start, n FROM (SELECT k, window_start, window_end, count(*) AS n FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10 seconds') GROUP BY k, window_start, window_end)
QUALIFY row_number() OVER (PARTITION BY k ORDER BY window_start) = 1 EMIT APPEND WITH (name = 'first_window');
-- By the hour: rows of an hour come together, once it is over.
SELECT k, x, dense_rank() OVER (ORDER BY date_trunc('hour', ts)) AS hour FROM s EMIT APPEND WITH (name = 'hours');

INSERT INTO s VALUES (1, 1, '2026-01-01 00:00:01'), (1, 2, '2026-01-01 00:00:09'), (2, 3, '2026-01-01 00:00:05');
INSERT INTO s VALUES (1, 4, '2026-01-01 00:00:11'), (2, 5, '2026-01-01 00:00:14'), (NULL, 6, '2026-01-01 00:00:08');
INSERT INTO s VALUES (1, 7, '2026-01-01 00:00:35'), (2, 8, '2026-01-01 00:00:03');
INSERT INTO s VALUES (2, 9, '2026-01-01 01:10:00'), (1, 1, '2026-01-01 00:59:59');
INSERT INTO s VALUES (2, 9, '2026-01-01 02:10:00'), (1, 1, '2026-01-01 01:15:00');

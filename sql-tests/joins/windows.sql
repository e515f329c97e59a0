-- Two windowed aggregates joined on the window, and an aggregate above a join of windows.
CREATE STREAM bids (auction BIGINT, at TIMESTAMP(3), WATERMARK FOR at);
CREATE STREAM sales (auction BIGINT, at TIMESTAMP(3), WATERMARK FOR at);
SELECT b.window_start, b.n AS bids, s.n AS sales
FROM (SELECT window_start, window_end, count(*) AS n FROM TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '10 seconds') GROUP BY window_start, window_end) b
JOIN (SELECT window_start, window_end, count(*) AS n FROM TUMBLE(TABLE sales, DESCRIPTOR(at), INTERVAL '10 seconds') GROUP BY window_start, window_end) s
ON b.window_start = s.window_start AND b.window_end = s.window_end EMIT APPEND;
SELECT b.auction, b.window_end, s.at AS sold
FROM TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '10 seconds') b
LEFT JOIN TUMBLE(TABLE sales, DESCRIPTOR(at), INTERVAL '10 seconds') s
ON b.auction = s.auction AND b.window_end = s.window_end EMIT APPEND;
INSERT INTO bids VALUES (1, '2026-01-01 00:00:01'), (2, '2026-01-01 00:00:02');
INSERT INTO sales VALUES (1, '2026-01-01 00:00:03'), (1, '2026-01-01 00:00:13');
INSERT INTO bids VALUES (1, '2026-01-01 00:00:12'), (2, '2026-01-01 00:00:22');
INSERT INTO sales VALUES (2, '2026-01-01 00:00:05'), (2, '2026-01-01 00:00:29');
INSERT INTO bids VALUES (3, '2026-01-01 00:01:00');
INSERT INTO sales VALUES (3, '2026-01-01 00:01:00'), (1, '2026-01-01 00:00:02');

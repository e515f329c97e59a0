-- window(ts, size): [start, end), aligned to the epoch. A row on a bound belongs to the window that starts there.
CREATE STREAM bids (auction BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT window.start AS start, window.end AS "end", auction, count(*) AS n, max(price) AS top
FROM bids GROUP BY window(ts, '10 seconds'), auction EMIT APPEND;
INSERT INTO bids VALUES (1, 10, '1970-01-01 00:00:01'), (1, 20, '1970-01-01 00:00:09.999'), (2, 5, '1970-01-01 00:00:10');
-- 15 seconds seen, 5 of delay: the window that ends at 10 closes in the batch without data that follows.
INSERT INTO bids VALUES (1, 7, '1970-01-01 00:00:15');
-- Late: its window has ended. The other one is just in time.
INSERT INTO bids VALUES (1, 99, '1970-01-01 00:00:09.999'), (1, 8, '1970-01-01 00:00:10');
INSERT INTO bids VALUES (3, 1, '1970-01-01 00:00:25');

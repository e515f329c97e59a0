-- An aggregate over the join; the event time survives it.
CREATE TABLE people AS SELECT column1 AS id, column2 AS city FROM (VALUES (1, 'Rome'), (2, 'Oslo'), (3, 'Rome'));
CREATE STREAM bids (bidder BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, city, sum(price) AS total FROM bids JOIN people ON bidder = id
GROUP BY window(ts, '10 seconds'), city EMIT APPEND;
SELECT city, count(*) AS n FROM bids LEFT JOIN people ON bidder = id GROUP BY city EMIT UPDATE;
INSERT INTO bids VALUES (1, 10, '2026-01-01 00:00:01'), (3, 20, '2026-01-01 00:00:02'), (9, 5, '2026-01-01 00:00:03');
INSERT INTO bids VALUES (2, 7, '2026-01-01 00:00:12'), (1, 100, '2026-01-01 00:00:05');
INSERT INTO bids VALUES (2, 8, '2026-01-01 00:00:04'), (2, 9, '2026-01-01 00:00:25');

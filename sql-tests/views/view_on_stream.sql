-- A view on a stream is a part of every query that reads it.
CREATE STREAM bids (auction BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE VIEW dear AS SELECT auction, price, ts FROM bids WHERE price > 10;
SELECT auction, price FROM dear;
SELECT window.start AS start, count(*) AS n FROM dear GROUP BY window(ts, '10 seconds') EMIT APPEND;
INSERT INTO bids VALUES (1, 5, '2026-01-01 00:00:01'), (2, 20, '2026-01-01 00:00:02');
INSERT INTO bids VALUES (3, 1, '2026-01-01 00:00:12');
SHOW VIEWS;

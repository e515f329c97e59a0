-- Nexmark q17 (per auction and day), q12 in event time, q15 (bidders per day), q5's counts per sliding window.
CREATE STREAM bid (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = 400, seed = 5, events_per_second = 10, max_rows_per_batch = 100, final_watermark = 'true');
SELECT auction, to_char(date_time, '%Y-%m-%d') AS day, count(*) AS n,
  count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS mid,
  count(*) FILTER (WHERE price >= 1000000) AS high, min(price) AS min_price, max(price) AS max_price, sum(price) AS total
FROM bid GROUP BY auction, to_char(date_time, '%Y-%m-%d') HAVING count(*) > 8 EMIT COMPLETE TRIGGER AVAILABLE NOW WITH (name = 'q17');
SELECT bidder, count(*) AS n, window.start AS start FROM bid GROUP BY bidder, window(date_time, '10 seconds')
HAVING count(*) > 4 EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q12');
SELECT to_char(date_time, '%Y-%m-%d') AS day, count(*) AS n, count(DISTINCT bidder) AS bidders, count(DISTINCT auction) AS auctions
FROM bid GROUP BY to_char(date_time, '%Y-%m-%d') EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q15');
SELECT window.end AS "end", auction, count(*) AS n FROM bid GROUP BY auction, window(date_time, '10 seconds', '5 seconds')
HAVING count(*) > 6 EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q5');

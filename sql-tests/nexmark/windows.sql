-- Nexmark q5 (hot items), q7 (highest bid), q8 (new people who sell), q11 (sessions), q12 (processing-time windows).
CREATE STREAM person (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)
WITH (connector = 'nexmark', table = 'person', events = 600, seed = 5, events_per_second = 10, max_rows_per_batch = 120, final_watermark = 'true');
CREATE STREAM auction (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)
WITH (connector = 'nexmark', table = 'auction', events = 600, seed = 5, events_per_second = 10, max_rows_per_batch = 120, final_watermark = 'true');
CREATE STREAM bid (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = 600, seed = 5, events_per_second = 10, max_rows_per_batch = 120, final_watermark = 'true');
SELECT ab.auction, ab.num, ab.s FROM
  (SELECT auction, count(*) AS num, window_start AS s, window_end AS e
   FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND) GROUP BY auction, window_start, window_end) ab
  JOIN (SELECT max(c.num) AS maxn, s, e FROM (SELECT count(*) AS num, window_start AS s, window_end AS e
    FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND) GROUP BY auction, window_start, window_end) c GROUP BY s, e) mb
  ON ab.s = mb.s AND ab.e = mb.e AND ab.num >= mb.maxn EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q5');
SELECT b.auction, b.price, b.bidder, b.date_time, length(b.extra) AS extra FROM bid b JOIN
  (SELECT max(price) AS maxprice, window_end AS date_time FROM TUMBLE(bid, date_time, INTERVAL '10' SECOND)
   GROUP BY window_start, window_end) b1
  ON b.price = b1.maxprice WHERE b.date_time BETWEEN b1.date_time - INTERVAL '10' SECOND AND b1.date_time
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q7');
SELECT b.auction, b.price, b.bidder, b.date_time, length(b.extra) AS extra FROM bid b JOIN
  (SELECT max(price) AS maxprice, window_end AS date_time FROM TUMBLE(bid, date_time, INTERVAL '10' SECOND)
   GROUP BY window_start, window_end) b1
  ON b.price = b1.maxprice WHERE b.date_time BETWEEN b1.date_time - INTERVAL '10' SECOND AND b1.date_time
EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q7_append');
SELECT p.id, p.name, p.s FROM
  (SELECT id, name, window_start AS s, window_end AS e FROM TUMBLE(person, date_time, INTERVAL '10' SECOND) GROUP BY id, name, window_start, window_end) p
  JOIN (SELECT seller, window_start AS s, window_end AS e FROM TUMBLE(auction, date_time, INTERVAL '10' SECOND) GROUP BY seller, window_start, window_end) a
  ON p.id = a.seller AND p.s = a.s AND p.e = a.e EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q8');
SELECT bidder, count(*) AS bid_count, min(date_time) AS first_bid, max(date_time) AS last_bid
FROM bid GROUP BY bidder, SESSION(date_time, INTERVAL '10' SECOND) EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q11');
-- oracle: off the batch's time is not that of a batch query
SELECT bidder, count(*) AS bid_count, window_start, window_end
FROM TUMBLE((SELECT *, PROCTIME() AS p_time FROM bid), p_time, INTERVAL '10' SECOND) GROUP BY bidder, window_start, window_end
EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q12');

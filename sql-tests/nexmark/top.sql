-- Nexmark q6 (mean of a seller's last sales), q9 (winning bids), q18 (last bids), q19 (top ten), each with what ties go by.
CREATE STREAM auction WITH (connector = 'nexmark', table = 'auction', events = 300, seed = 5, events_per_second = 10, max_rows_per_batch = 60);
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 300, seed = 5, events_per_second = 10, max_rows_per_batch = 60);
SELECT q.id, q.seller, avg(q.price) OVER (PARTITION BY q.seller ORDER BY q.date_time, q.id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS mean
FROM (SELECT *, row_number() OVER (PARTITION BY id, seller ORDER BY price DESC, date_time, bidder) AS rownum
  FROM (SELECT a.id, a.seller, b.price, b.date_time, b.bidder FROM auction a, bid b
    WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)) q
WHERE q.rownum <= 1 EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q6');
SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, length(extra) AS extra,
  auction, bidder, price, bid_time, length(bid_extra) AS bid_extra
FROM (SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_time, b.extra AS bid_extra,
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC, b.bidder) AS rownum
  FROM auction a, bid b WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)
WHERE rownum <= 1 EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q9');
SELECT auction, bidder, price, channel, url, date_time, length(extra) AS extra
FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price) AS rank_number FROM bid)
WHERE rank_number <= 1 AND auction % 10 = 0 EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q18');
SELECT auction, bidder, price, date_time, rank_number
FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, bidder, date_time) AS rank_number FROM bid)
WHERE rank_number <= 10 AND auction % 5 = 0 EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q19');

-- Nexmark q3 (sellers of a category), q20 (bids with their auctions), q23 (bids with bidders and what these sell), q13 (lookup).
CREATE STREAM person WITH (connector = 'nexmark', table = 'person', events = 400, seed = 5, max_rows_per_batch = 100);
CREATE STREAM auction WITH (connector = 'nexmark', table = 'auction', events = 400, seed = 5, max_rows_per_batch = 100);
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 400, seed = 5, max_rows_per_batch = 100);
CREATE TABLE side_input AS SELECT value AS key, CAST(value AS VARCHAR) AS value FROM generate_series(0, 9999);
SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA') TRIGGER AVAILABLE NOW WITH (name = 'q3');
SELECT auction, bidder, price, channel, url, b.date_time AS bid_time, item_name, description, initial_bid, reserve,
  a.date_time, expires, seller, category, length(b.extra) AS bid_extra, length(a.extra) AS extra
FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10 TRIGGER AVAILABLE NOW WITH (name = 'q20');
SELECT bidder, price, channel, p.id, name, email_address, credit_card, city, state, item_name, initial_bid, reserve,
  a.date_time, expires, seller, category
FROM bid b JOIN person p ON p.id = b.bidder JOIN auction a ON a.seller = b.bidder WHERE b.price < 500
TRIGGER AVAILABLE NOW WITH (name = 'q23');
SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side_input s ON b.auction % 10000 = s.key WHERE b.price < 300
TRIGGER AVAILABLE NOW WITH (name = 'q13');

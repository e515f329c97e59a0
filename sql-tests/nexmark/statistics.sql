-- Nexmark q15, q16 and q17 (counts and distinct counts per day, channel and auction), q10 (files by day and minute).
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 300, seed = 5, events_per_second = 1, max_rows_per_batch = 100);
SELECT to_char(date_time, '%Y-%m-%d') AS day, count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS rank1, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2,
  count(*) FILTER (WHERE price >= 1000000) AS rank3, count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (WHERE price < 10000) AS bidders1,
  count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS bidders2,
  count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS bidders3, count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (WHERE price < 10000) AS auctions1,
  count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS auctions2,
  count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS auctions3
FROM bid GROUP BY to_char(date_time, '%Y-%m-%d') EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q15');
SELECT channel, to_char(date_time, '%Y-%m-%d') AS day, max(to_char(date_time, '%H:%M')) AS minute, count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS rank1, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2,
  count(*) FILTER (WHERE price >= 1000000) AS rank3, count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (WHERE price < 10000) AS bidders1,
  count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS bidders2,
  count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS bidders3, count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (WHERE price < 10000) AS auctions1,
  count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS auctions2,
  count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS auctions3
FROM bid WHERE channel NOT LIKE 'channel-%' GROUP BY channel, to_char(date_time, '%Y-%m-%d')
EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q16');
SELECT auction, to_char(date_time, '%Y-%m-%d') AS day, count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS rank1, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2,
  count(*) FILTER (WHERE price >= 1000000) AS rank3, min(price) AS low, max(price) AS high, avg(price) AS mean, sum(price) AS total
FROM bid GROUP BY auction, to_char(date_time, '%Y-%m-%d') EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q17');
CREATE SINK files WITH (connector = 'parquet', path = '${TMP}/q10', partition_by = 'dt, hm');
INSERT INTO files SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H-%M') AS hm
FROM bid TRIGGER AVAILABLE NOW WITH (name = 'q10');
CREATE EXTERNAL TABLE written STORED AS PARQUET PARTITIONED BY (dt, hm) LOCATION '${TMP}/q10';
-- sort: rows
SELECT dt, hm, count(*) AS n, sum(price) AS total FROM written GROUP BY dt, hm;

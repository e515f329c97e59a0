-- Streaming SQL on the bids of an auction site, with nothing else installed:
--
--   cargo run --release -- run examples/nexmark.sql
--
-- A million events of the Nexmark model (a seeded generator: 920,000 of them are bids) are cut into windows of ten
-- seconds of event time. Per window and auction the bids are counted and the highest price is kept; each window is
-- written exactly once, as Parquet, when the watermark says that it is complete. A second query shows the busiest
-- channels live. Kill it at any moment and run it again: it goes on where it was. To start over: rm -r out/nexmark

CREATE STREAM bid (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND) WITH (
  connector = 'nexmark', table = 'bid', events = '1000000', events_per_second = '10000', seed = '42',
  max_rows_per_batch = '50000', final_watermark = 'true'
);

CREATE SINK auctions WITH (connector = 'parquet', path = 'out/nexmark/auctions');
CREATE SINK channels WITH (connector = 'console', num_rows = '8');

INSERT INTO auctions
SELECT window.start AS window_start, auction, count(*) AS bids, max(price) AS highest
FROM bid GROUP BY window(date_time, '10 seconds'), auction
WITH (name = 'auctions', checkpoint = 'out/nexmark/checkpoint');

INSERT INTO channels
SELECT channel, count(*) AS bids, max(price) AS highest
FROM bid WHERE channel NOT LIKE 'channel-%' GROUP BY channel
EMIT COMPLETE
WITH (name = 'channels');

-- The main job, small, and beside it the bids that it read: what check_parquet.py compares.
CREATE STREAM bid (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND) WITH (
  connector = 'nexmark', table = 'bid', events = '200000', events_per_second = '2000', seed = '7',
  max_rows_per_batch = '9000', final_watermark = 'true'
);
CREATE SINK windows WITH (connector = 'parquet', path = 'target/check_parquet/windows');
CREATE SINK bids WITH (connector = 'parquet', path = 'target/check_parquet/bids', partition_by = 'channel', compact = 'true');

INSERT INTO windows
SELECT window.start AS window_start, auction, count(*) AS bids, max(price) AS highest, sum(price) AS total
FROM bid GROUP BY window(date_time, '10 seconds'), auction
WITH (name = 'windows', checkpoint = 'target/check_parquet/checkpoint/windows');

INSERT INTO bids
SELECT auction, price, date_time, CASE WHEN channel LIKE 'channel-%' THEN 'other' ELSE channel END AS channel
FROM bid
WITH (name = 'bids', checkpoint = 'target/check_parquet/checkpoint/bids');

-- Files of a directory, as many in a batch as the limit says.
CREATE STREAM bids (auction BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts)
WITH (connector = 'file', path = '${DIR}/../data/bids/', format = 'json', max_files_per_batch = 1);
CREATE MATERIALIZED VIEW totals AS SELECT auction, sum(price) AS total FROM bids GROUP BY auction;
SELECT * FROM totals ORDER BY auction;
SELECT count(*) AS n, sum(price) AS total FROM bids EMIT COMPLETE TRIGGER ONCE;

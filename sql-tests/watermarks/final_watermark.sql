-- The end of a bounded stream closes its windows only when the stream says so.
CREATE STREAM open (timestamp TIMESTAMP(3), value BIGINT, WATERMARK FOR timestamp)
WITH (connector = 'rate', rows_per_batch = 2, num_rows = 4);
CREATE STREAM closed (timestamp TIMESTAMP(3), value BIGINT, WATERMARK FOR timestamp)
WITH (connector = 'rate', rows_per_batch = 2, num_rows = 4, final_watermark = 'true');
SELECT timestamp, count(*) AS n FROM open GROUP BY timestamp EMIT APPEND;
SELECT timestamp, count(*) AS n FROM closed GROUP BY timestamp EMIT APPEND;

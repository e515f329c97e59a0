-- Spark's USING .. OPTIONS and RisingWave's CREATE SOURCE.
CREATE TABLE r (timestamp TIMESTAMP(3), value BIGINT) USING rate OPTIONS ('rows_per_batch' '2', 'num_rows' '4');
CREATE SOURCE s (timestamp TIMESTAMP(3), value BIGINT) WITH (connector = 'rate', rows_per_batch = 3, num_rows = 3);
SHOW STREAMS;
SELECT 'r' AS source, value, timestamp FROM r;
SELECT 's' AS source, value, timestamp FROM s;

-- Exactly-once Parquet files, read back as a table.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK files WITH (connector = 'parquet', path = '${TMP}/out/');
INSERT INTO files SELECT k, v * 10 AS v FROM s WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('c', NULL);
CREATE EXTERNAL TABLE back STORED AS PARQUET LOCATION '${TMP}/out/';
SELECT * FROM back ORDER BY k;

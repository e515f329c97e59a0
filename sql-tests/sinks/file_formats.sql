-- Files in other formats, with partitions.
CREATE STREAM s (day VARCHAR, k VARCHAR, v BIGINT);
CREATE SINK csv WITH (connector = 'file', path = '${TMP}/csv/', format = 'csv', header = 'true');
CREATE SINK parts WITH (connector = 'file', path = '${TMP}/parts/', format = 'json', partition_by = 'day');
INSERT INTO csv SELECT k, v FROM s WITH (checkpoint = '${TMP}/chk1');
INSERT INTO parts SELECT * FROM s WITH (checkpoint = '${TMP}/chk2');
INSERT INTO s VALUES ('mon', 'a', 1), ('tue', 'b,c', 2);
INSERT INTO s VALUES ('mon', NULL, 3);
CREATE EXTERNAL TABLE csv_back (k VARCHAR, v BIGINT) STORED AS CSV LOCATION '${TMP}/csv/' OPTIONS ('format.has_header' 'true');
SELECT * FROM csv_back ORDER BY v;
CREATE EXTERNAL TABLE json_back (k VARCHAR, v BIGINT) STORED AS JSON LOCATION '${TMP}/parts/day=mon/';
SELECT * FROM json_back ORDER BY v;

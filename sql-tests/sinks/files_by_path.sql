-- What a sink has written can be read by its path: a directory, or one file.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK p WITH (connector = 'parquet', path = '${TMP}/p');
CREATE SINK j WITH (connector = 'file', format = 'json', path = '${TMP}/j');
INSERT INTO p SELECT k, v FROM s WITH (name = 'a', checkpoint = '${TMP}/a');
INSERT INTO j SELECT k, v FROM s WITH (name = 'b', checkpoint = '${TMP}/b');
INSERT INTO s VALUES ('owl', 1), ('fox', 2);
INSERT INTO s VALUES ('owl', 3);
-- sort: rows
SELECT * FROM '${TMP}/p';
-- sort: rows
SELECT k, sum(v) AS total FROM '${TMP}/j' GROUP BY k;
-- error: not found
SELECT * FROM '${TMP}/nowhere';

-- A directory of two formats is not read in part.
CREATE SINK m1 WITH (connector = 'file', format = 'json', path = '${TMP}/mixed');
CREATE SINK m2 WITH (connector = 'file', format = 'csv', path = '${TMP}/mixed');
INSERT INTO m1 SELECT k, v FROM s WITH (name = 'c', checkpoint = '${TMP}/c');
INSERT INTO m2 SELECT k, v FROM s WITH (name = 'd', checkpoint = '${TMP}/d');
-- error: endings=[csv, json]
SELECT * FROM '${TMP}/mixed';

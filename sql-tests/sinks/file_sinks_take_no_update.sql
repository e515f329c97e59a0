-- Files cannot take rows back: UPDATE and COMPLETE are refused, CHANGES is written as it is.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK files WITH (connector = 'file', path = '${TMP}/out/', format = 'json');
-- error: UPDATE
INSERT INTO files SELECT k, sum(v) AS total FROM s GROUP BY k EMIT UPDATE;
-- error: COMPLETE
INSERT INTO files SELECT k, sum(v) AS total FROM s GROUP BY k EMIT COMPLETE;
INSERT INTO files SELECT k, sum(v) AS total FROM s GROUP BY k EMIT CHANGES WITH (checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1);
INSERT INTO s VALUES ('a', 2);
CREATE EXTERNAL TABLE back (k VARCHAR, total BIGINT, op VARCHAR) STORED AS JSON LOCATION '${TMP}/out/';
SELECT * FROM back ORDER BY total, op;

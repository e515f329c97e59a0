-- A batch that failed is the same batch again after a restart; a query that can take the row goes on from there.
CREATE STREAM s (v VARCHAR);
CREATE SINK out WITH (connector = 'memory');
INSERT INTO out SELECT CAST(v AS BIGINT) AS n FROM s WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('1');
-- error: x
INSERT INTO s VALUES ('x');
-- error: x
STOP QUERY q;
INSERT INTO out SELECT TRY_CAST(v AS BIGINT) AS n FROM s WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('3');
-- 1, NULL, 3
-- sort: rows
SELECT * FROM out;

-- A restart knows from the batch's id that the static rows of a UNION have come.
CREATE STREAM s (v BIGINT);
CREATE SINK out WITH (connector = 'memory');
INSERT INTO out SELECT v FROM s UNION ALL SELECT 100 WITH (name = 'q', checkpoint = '${TMP}/chk');
SELECT * FROM out;
STOP QUERY q;
INSERT INTO s VALUES (1);
INSERT INTO out SELECT v FROM s UNION ALL SELECT 100 WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES (2);
-- 1, 2, 100
-- sort: rows
SELECT * FROM out;

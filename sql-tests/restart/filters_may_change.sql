-- Filters and projections may change between runs; the new ones hold for new rows.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK out WITH (connector = 'memory');
-- oracle: off its rows come from two queries
INSERT INTO out SELECT v FROM s WHERE v > 1 WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1), ('b', 2);
STOP QUERY q;
INSERT INTO out SELECT v * 10 AS v FROM s WHERE v < 3 WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('c', 1), ('d', 5);
-- 2, 10
-- sort: rows
SELECT * FROM out;

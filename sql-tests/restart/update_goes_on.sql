-- A restarted aggregate remembers its groups; the sink's table stays.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE SINK out WITH (connector = 'memory');
INSERT INTO out SELECT k, sum(v) AS total, count(DISTINCT v) AS d FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1), ('b', 2);
STOP QUERY q;
INSERT INTO out SELECT k, sum(v) AS total, count(DISTINCT v) AS d FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1), ('a', 5);
STOP QUERY q;
INSERT INTO out SELECT k, sum(v) AS total, count(DISTINCT v) AS d FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('b', 2), ('c', 3);
SELECT * FROM out ORDER BY k;

-- A checkpoint fits the query that wrote it; what does not is named.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE STREAM t (k VARCHAR, v BIGINT);
CREATE SINK out WITH (connector = 'console');
INSERT INTO out SELECT k, sum(v) AS total FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
INSERT INTO s VALUES ('a', 1);
-- error: a query of this name runs already: `q`
INSERT INTO out SELECT k, v FROM s WITH (name = 'q');
STOP QUERY q;
-- error: checkpoint
INSERT INTO out SELECT k, sum(v) AS total FROM t GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
-- error: operator
INSERT INTO out SELECT k, max(v) AS total FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');
-- error: operator
INSERT INTO out SELECT v, sum(v) AS total FROM s GROUP BY v EMIT UPDATE WITH (name = 'q', checkpoint = '${TMP}/chk');

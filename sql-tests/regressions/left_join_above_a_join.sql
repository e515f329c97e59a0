-- A row without a partner stands when the watermark says so, also above a join by whose times it is known.
CREATE STREAM a (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT x.k, b.v FROM a x JOIN a y ON x.ts = y.ts LEFT JOIN b ON x.k = b.k AND x.ts >= b.ts EMIT APPEND;
INSERT INTO a VALUES (1, '2026-01-01 00:00:05'), (NULL, '2026-01-01 00:00:06'), (2, '2026-01-01 00:00:20');
INSERT INTO b VALUES (2, 7, '2026-01-01 00:00:10');
INSERT INTO a VALUES (3, '2026-01-01 00:00:21');

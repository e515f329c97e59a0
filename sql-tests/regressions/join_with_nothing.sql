-- A join with an empty table gives nothing without reading the stream: its rows count and move the watermark all the same.
CREATE STREAM a (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE TABLE none AS SELECT 1 AS k WHERE 1 = 0;
SELECT window.start AS start, k, count(*) AS n
FROM (SELECT b.k, b.ts FROM b JOIN none ON b.k = none.k UNION ALL SELECT k, ts FROM a) u GROUP BY window(ts, '10 seconds'), k EMIT APPEND;
INSERT INTO a VALUES (1, '2026-01-01 00:00:01'), (1, '2026-01-01 00:00:20');
INSERT INTO b VALUES (1, '2026-01-01 00:00:15');

-- HAVING and FILTER over windows.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, k, count(*) FILTER (WHERE v > 1) AS big, count(DISTINCT v) AS d FROM s
GROUP BY window(ts, '10 seconds'), k HAVING count(*) > 1 EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('a', 2, '2026-01-01 00:00:02'), ('b', 3, '2026-01-01 00:00:02');
INSERT INTO s VALUES ('b', 3, '2026-01-01 00:00:09'), ('c', 3, '2026-01-01 00:00:09');
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:10'), ('a', 1, '2026-01-01 00:00:10');
INSERT INTO s VALUES ('z', 1, '2026-01-01 00:00:20');

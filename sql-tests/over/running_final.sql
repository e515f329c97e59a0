-- Values over all rows up to one, of partitions that are final: given once, when the watermark has passed their window.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);
SELECT window.start AS start, k, v, sum(v) OVER (PARTITION BY window ORDER BY ts, k) AS total, row_number() OVER (PARTITION BY window ORDER BY ts, k) AS n FROM (SELECT k, ts, v, window(ts, '10 seconds') AS window FROM s);
SELECT window.start AS start, k, v, sum(v) OVER (PARTITION BY window ORDER BY ts, k) AS total FROM (SELECT k, ts, v, window(ts, '10 seconds') AS window FROM s) EMIT CHANGES;
INSERT INTO s VALUES ('a', '2024-01-01 00:00:01', 1), ('b', '2024-01-01 00:00:03', 2);
INSERT INTO s VALUES ('a', '2024-01-01 00:00:02', 10), ('c', '2024-01-01 00:00:12', 5);
INSERT INTO s VALUES ('d', '2024-01-01 00:00:04', 100), ('c', '2024-01-01 00:00:25', 7);
INSERT INTO s VALUES ('d', '2024-01-01 00:00:26', 1);

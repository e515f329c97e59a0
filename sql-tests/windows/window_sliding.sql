-- window(ts, size, slide): every row is in size/slide windows.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);
SELECT window.start AS start, window.end AS "end", k, count(*) AS n
FROM s GROUP BY window(ts, '10 seconds', '5 seconds'), k EMIT APPEND;
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('a', '2026-01-01 00:00:07'), ('b', '2026-01-01 00:00:05');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:12');
-- In the window that ends at 10 it is late, in the one that ends at 15 it is not.
INSERT INTO s VALUES ('b', '2026-01-01 00:00:09');
INSERT INTO s VALUES ('c', '2026-01-01 00:00:30');

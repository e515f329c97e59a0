-- A window over the windows of another, by window_time and by the window itself.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window(window_time(w), '20 seconds').start AS start, max(total) AS top, count(*) AS n
FROM (SELECT window(ts, '10 seconds') AS w, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k)
GROUP BY window(window_time(w), '20 seconds') EMIT APPEND;
SELECT window(w, '20 seconds').start AS start, max(total) AS top, count(*) AS n
FROM (SELECT window(ts, '10 seconds') AS w, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k)
GROUP BY window(w, '20 seconds') EMIT APPEND;
SELECT window_time(w) AS t, k, total FROM (SELECT window(ts, '10 seconds') AS w, k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k) EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:02'), ('a', 4, '2026-01-01 00:00:11');
INSERT INTO s VALUES ('a', 8, '2026-01-01 00:00:10');
INSERT INTO s VALUES ('a', 16, '2026-01-01 00:00:20'), ('b', 32, '2026-01-01 00:00:15');
INSERT INTO s VALUES ('a', 64, '2026-01-01 00:00:41');

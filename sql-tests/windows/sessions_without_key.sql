-- Sessions without another key, which Spark refuses.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '20' SECOND);
SELECT session_window.start AS start, count(*) AS n, sum(v) AS total FROM s GROUP BY session_window(ts, '10 seconds') EMIT APPEND;
SELECT session_window.start AS start, count(*) AS n, max(v) AS top FROM s GROUP BY session_window(ts, '10 seconds') EMIT CHANGES;
INSERT INTO s VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:25');
INSERT INTO s VALUES (4, '2026-01-01 00:00:09'), (8, '2026-01-01 00:00:16');
INSERT INTO s VALUES (16, '2026-01-01 00:01:00');

-- A gap of a row that is zero, negative or NULL: the row is in no session.
CREATE STREAM s (k VARCHAR, gap BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE);
SELECT session_window.start AS start, session_window.end AS "end", k, count(*) AS n
FROM s GROUP BY session_window(ts, CASE gap WHEN 0 THEN INTERVAL '0 seconds' WHEN -1 THEN INTERVAL '-1 second' WHEN 5 THEN INTERVAL '5 seconds' END), k EMIT COMPLETE;
INSERT INTO s VALUES ('a', 5, '2026-01-01 00:00:00'), ('a', 0, '2026-01-01 00:00:01'), ('a', -1, '2026-01-01 00:00:02'), ('a', NULL, '2026-01-01 00:00:03');
INSERT INTO s VALUES ('b', 0, '2026-01-01 00:00:00'), ('a', 5, '2026-01-01 00:00:04');

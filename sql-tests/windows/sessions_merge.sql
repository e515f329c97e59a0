-- A row between two open sessions joins them; one exactly at the end of a session belongs to it.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE);
SELECT session_window.start AS start, session_window.end AS "end", k, sum(v) AS total
FROM s GROUP BY session_window(ts, '10 seconds'), k EMIT COMPLETE;
SELECT session_window.start AS start, session_window.end AS "end", k, sum(v) AS total
FROM s GROUP BY session_window(ts, '10 seconds'), k EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:00'), ('a', 2, '2026-01-01 00:00:20'), ('b', 4, '2026-01-01 00:00:10');
INSERT INTO s VALUES ('a', 8, '2026-01-01 00:00:10');
INSERT INTO s VALUES ('a', 16, '2026-01-01 00:00:30.001'), ('a', 32, NULL);

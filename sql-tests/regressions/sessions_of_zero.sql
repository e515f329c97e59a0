-- 0.0 and -0.0 were two keys of sessions over a table, and one over a stream.
CREATE TABLE t (x DOUBLE, ts TIMESTAMP(3));
INSERT INTO t VALUES (0.0, '2024-01-01 00:00:29'), (-0.0, '2024-01-01 00:00:31'), (NULL, '2024-01-01 00:00:30');
-- sort: rows
SELECT session_window.start AS start, session_window.end AS "end", x, count(*) AS n FROM t GROUP BY session_window(ts, '4 seconds'), x;
CREATE STREAM s (x DOUBLE, y REAL, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT session_window.start AS start, session_window.end AS "end", x, y, count(*) AS n
FROM s GROUP BY session_window(ts, '4 seconds'), x, y EMIT COMPLETE;
INSERT INTO s VALUES (0.0, -0.0, '2024-01-01 00:00:29'), (-0.0, 0.0, '2024-01-01 00:00:31');
INSERT INTO s VALUES (-0.0, -0.0, '2024-01-01 00:00:34'), (CAST('NaN' AS DOUBLE), 0.0, '2024-01-01 00:00:34');

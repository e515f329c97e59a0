-- A session that has closed is given and gone: a row on time that would make it longer is late, as it could only give
-- a second session that overlaps the first.
CREATE STREAM s (k INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);

SELECT k, session_window.start, session_window.end, count(*) AS n FROM s
GROUP BY k, session_window(ts, '10 seconds') EMIT APPEND;
SELECT k, window_start, window_end, count(*) AS n FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '10 seconds'))
GROUP BY k, window_start, window_end EMIT CHANGES;

INSERT INTO s VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:02');
-- Closes what has ended at 00:00:12: both sessions.
INSERT INTO s VALUES (3, '2026-01-01 00:00:12');
-- Of key 1: touches what has closed at 00:00:10. Of key 2: the session's end is touched too. Of key 4: nothing is there.
INSERT INTO s VALUES (1, '2026-01-01 00:00:09'), (2, '2026-01-01 00:00:12'), (4, '2026-01-01 00:00:09');
INSERT INTO s VALUES (3, '2026-01-01 00:01:00');

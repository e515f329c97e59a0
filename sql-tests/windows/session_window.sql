-- session_window(ts, gap): sessions that overlap or touch merge; one closes when the watermark reaches its end.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
-- oracle: off which rows touch a session that has closed depends on the order of arrival
SELECT session_window.start AS start, session_window.end AS "end", k, count(*) AS n, sum(v) AS total
FROM s GROUP BY session_window(ts, '5 seconds'), k EMIT APPEND;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('a', 2, '2026-01-01 00:00:04'), ('b', 4, '2026-01-01 00:00:02');
INSERT INTO s VALUES ('a', 8, '2026-01-01 00:00:09');
INSERT INTO s VALUES ('a', 16, '2026-01-01 00:00:14');
INSERT INTO s VALUES ('c', 32, '2026-01-01 00:00:30');

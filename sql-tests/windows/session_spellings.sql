-- SESSION as a table function and session() as a group function.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
-- oracle: off which rows touch a session that has closed depends on the order of arrival
SELECT window_start, window_end, k, count(*) AS n
FROM SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND) GROUP BY window_start, window_end, k EMIT APPEND;
-- oracle: off which rows touch a session that has closed depends on the order of arrival
SELECT session(ts, INTERVAL '5' SECOND) AS w, k, count(*) AS n FROM s GROUP BY session(ts, INTERVAL '5' SECOND), k EMIT APPEND;
-- oracle: off which rows touch a session that has closed depends on the order of arrival
SELECT k, count(*) AS n FROM s GROUP BY session(INTERVAL '5' SECOND), k EMIT APPEND;
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('a', '2026-01-01 00:00:06'), ('b', '2026-01-01 00:00:03');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:20');

-- Sessions of rows that are taken back: they grow, merge, shrink, split and vanish.
CREATE STREAM s (k BIGINT, at TIMESTAMP(3), v BIGINT);
CREATE STREAM c (op VARCHAR, u VARCHAR, at TIMESTAMP(3), v BIGINT) WITH (op_column = 'op');
SELECT u, session_window(t, '5 seconds') AS w, count(*) AS n FROM (SELECT k, k % 2 AS u, max(at) AS t FROM s GROUP BY k) GROUP BY u, session_window(t, '5 seconds') EMIT COMPLETE;
SELECT u, session_window(t, '5 seconds') AS w, count(*) AS n FROM (SELECT k, k % 2 AS u, max(at) AS t FROM s GROUP BY k) GROUP BY u, session_window(t, '5 seconds') EMIT CHANGES;
SELECT u, session_window(at, '5 seconds') AS w, sum(v) AS total, array_agg(v ORDER BY v) AS all FROM c GROUP BY u, session_window(at, '5 seconds') EMIT UPDATE;
SELECT session_window(at, '5 seconds').start AS start, count(*) AS n FROM c WHERE v > 0 GROUP BY session_window(at, '5 seconds') EMIT CHANGES;
SELECT u, session_window(at, '5 seconds') AS w, count(*) AS n FROM c GROUP BY u, session_window(at, '5 seconds') HAVING count(*) > 1 EMIT COMPLETE;
INSERT INTO s VALUES (1, '2026-01-01 00:00:00', 1), (3, '2026-01-01 00:00:02', 1), (5, '2026-01-01 00:00:05', 1), (2, NULL, 1);
INSERT INTO s VALUES (3, '2026-01-01 00:00:20', 1), (4, '2026-01-01 00:00:00', 1);
INSERT INTO s VALUES (1, '2026-01-01 00:00:18', 1), (5, '2026-01-01 00:00:21', 1);
INSERT INTO c VALUES ('+I', 'a', '2026-01-01 00:00:00', 1), ('+I', 'a', '2026-01-01 00:00:04', 2), ('+I', 'a', '2026-01-01 00:00:08', 3), ('+I', NULL, '2026-01-01 00:00:00', 9), ('+I', 'b', NULL, 5);
INSERT INTO c VALUES ('-D', 'a', '2026-01-01 00:00:04', 2);
INSERT INTO c VALUES ('+I', 'a', '2026-01-01 00:00:05', 4), ('+I', 'a', '2026-01-01 00:00:05', 4), ('-D', NULL, '2026-01-01 00:00:00', 9);
INSERT INTO c VALUES ('-D', 'a', '2026-01-01 00:00:05', 4);
INSERT INTO c VALUES ('-D', 'a', '2026-01-01 00:00:05', 4), ('-D', 'a', '2026-01-01 00:00:00', 1), ('-D', 'b', NULL, 5);
-- error: GROUP BY session_window(..) instead
SELECT window_start, count(*) FROM SESSION(TABLE c, DESCRIPTOR(at), INTERVAL '5' SECOND) GROUP BY window_start, window_end EMIT CHANGES;

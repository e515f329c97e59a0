-- now() in a filter moves on: rows leave and enter though nothing comes. In a test the first rows come at 00:00:01 of
-- 2026, and each further INSERT a second later.
CREATE STREAM s (id BIGINT, k VARCHAR, t TIMESTAMP(3));
SELECT k, count(*) AS n FROM s WHERE t > now() - INTERVAL '2 seconds' GROUP BY k EMIT UPDATE;
SELECT id, t FROM s WHERE t >= current_timestamp - INTERVAL '2 seconds' EMIT CHANGES;
-- The same with the constant on the other side, and with more conditions, some of which are not about time.
SELECT k, count(*) AS n FROM s WHERE now() < t + INTERVAL '2 seconds' AND id > 1 AND t < TIMESTAMP '2027-01-01' GROUP BY k EMIT UPDATE;
-- Rows enter.
SELECT k, count(*) AS n FROM s WHERE t <= now() GROUP BY k EMIT UPDATE;
-- Both.
SELECT count(*) AS n, max(id) AS last FROM s WHERE t BETWEEN now() - INTERVAL '1 second' AND now() EMIT UPDATE;
SELECT id FROM s WHERE date_trunc('second', t) = date_trunc('second', now()) EMIT CHANGES;
-- Whole.
SELECT k, count(*) AS n FROM s WHERE t > now() - INTERVAL '2 seconds' GROUP BY k ORDER BY k EMIT COMPLETE;
INSERT INTO s VALUES (1, 'a', '2026-01-01 00:00:00'), (2, 'a', '2026-01-01 00:00:01'), (3, 'b', '2026-01-01 00:00:03'), (4, 'b', '2025-12-31 00:00:00'), (5, 'c', NULL);
INSERT INTO s VALUES (6, 'a', '2026-01-01 00:00:01.500'), (7, 'c', '2026-01-01 00:00:02');
INSERT INTO s VALUES (8, 'd', '2025-01-01 00:00:00');
INSERT INTO s VALUES (9, 'd', '2026-01-01 00:00:09');
INSERT INTO s VALUES (10, 'd', '2026-01-01 00:00:05');

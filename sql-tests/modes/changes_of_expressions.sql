-- CHANGES through expressions, HAVING, constants and conditions that no row meets.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT k, sum(v) AS n, CASE WHEN sum(v) > 5 THEN 'big' ELSE 'small' END AS c FROM s GROUP BY k EMIT CHANGES;
SELECT st, max(n) AS m FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k HAVING count(*) > 1) GROUP BY st EMIT APPEND;
SELECT st, k, n FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k) WHERE n > 1 EMIT UPDATE;
SELECT session_window.start AS st, k, sum(v) AS t FROM s GROUP BY session_window(ts, '8 seconds'), k HAVING sum(v) > 3 EMIT CHANGES;
SELECT coalesce(k, 'none') AS kk, count(*) AS n FROM s GROUP BY coalesce(k, 'none') EMIT UPDATE;
SELECT upper(k) AS kk, n FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT CHANGES;
SELECT max(v) AS m FROM s WHERE v IS NOT NULL HAVING max(v) > 100 EMIT CHANGES;
SELECT 1 AS one FROM s GROUP BY k EMIT CHANGES;
SELECT count(*) AS n FROM s WHERE 1 = 0 EMIT UPDATE;
SELECT count(*) AS n FROM s WHERE k = 'zzz' EMIT CHANGES;
SELECT sum(v) AS n FROM s WHERE k = 'd' EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

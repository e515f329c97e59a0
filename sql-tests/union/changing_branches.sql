-- Branches of UNION ALL whose rows change, beside such that only grow, and static ones.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT k, v FROM (SELECT DISTINCT k, v FROM s UNION ALL SELECT k, w FROM t) EMIT CHANGES;
SELECT k, sum(v) AS t FROM (SELECT k, v FROM s UNION ALL SELECT k, -v FROM s UNION ALL SELECT k, w FROM t) GROUP BY k EMIT CHANGES;
SELECT k, sum(v) AS n FROM s GROUP BY k UNION ALL SELECT 'all', sum(v) FROM s EMIT CHANGES;
SELECT k, sum(v) AS n FROM s GROUP BY k UNION ALL SELECT k, v FROM s EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

-- IN, ANY, NOT IN, scalar subqueries and sets over static tables, in conditions on a stream.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > (SELECT min(w) FROM t) EMIT UPDATE;
SELECT k, v FROM s EXCEPT SELECT k, w FROM t;
SELECT k, v FROM s INTERSECT SELECT k, w FROM t;
SELECT k FROM s WHERE k = ANY (SELECT k FROM t);
SELECT k FROM s WHERE v BETWEEN (SELECT min(w) FROM t) AND (SELECT max(w) FROM t);
SELECT k, v, w FROM s LEFT JOIN t USING (k) WHERE w IS NULL OR v > w;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

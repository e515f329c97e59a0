-- Results that change are joined with static tables, and asked for by subqueries over them.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE TABLE t AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('b', 2), ('b', 3), (NULL, 4));
SELECT a.st, a.n, t.w FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k) AS a LEFT JOIN t ON a.k = t.k EMIT APPEND;
SELECT a.st, a.n, t.w FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k) AS a LEFT JOIN t ON a.k = t.k EMIT CHANGES;
SELECT a.st, a.k, a.n FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k) AS a WHERE a.k IN (SELECT k FROM t) EMIT CHANGES;
SELECT a.st, a.k, a.n FROM (SELECT window.start AS st, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k) AS a WHERE a.k NOT IN (SELECT k FROM t WHERE k IS NOT NULL) EMIT CHANGES;
SELECT x.k, x.n + y.n AS t FROM (SELECT k, count(*) AS n FROM s GROUP BY k) AS x JOIN (SELECT k, count(*) AS n FROM t GROUP BY k) AS y ON x.k = y.k EMIT CHANGES;
SELECT k, w, sum(v) AS t FROM s JOIN t USING (k) GROUP BY k, w EMIT UPDATE;
SELECT t.k, t.w, x.t FROM t RIGHT JOIN (SELECT k, sum(v) AS t FROM s GROUP BY k) AS x ON x.k = t.k EMIT CHANGES;
SELECT x.k, x.t FROM (SELECT k, sum(v) AS t FROM s GROUP BY k) AS x LEFT ANTI JOIN t ON x.k = t.k AND t.w < x.t EMIT CHANGES;
SELECT x.k, x.t FROM (SELECT k, sum(v) AS t FROM s GROUP BY k) AS x WHERE EXISTS (SELECT 1 FROM t WHERE t.k = x.k AND t.w < x.t) EMIT CHANGES;
SELECT x.k, (SELECT max(w) FROM t WHERE t.k = x.k) AS m, x.t FROM (SELECT k, sum(v) AS t FROM s GROUP BY k) AS x EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 1.5, '2026-01-01 00:00:01'), ('b', 2, 'NaN', '2026-01-01 00:00:03'), (NULL, 3, NULL, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, -0.0, '2026-01-01 00:00:09'), ('c', NULL, 0.0, NULL), ('b', 2, 7, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2', '2026-01-01 00:00:02'), ('b', -4, '3', '2026-01-01 00:00:25'), ('d', 0, 'Infinity', '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, 1, '2026-01-01 00:00:59'), ('a', 10, 1, '2026-01-01 00:00:30');

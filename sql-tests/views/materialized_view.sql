-- A materialized view is a continuous query whose current result is a table.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE MATERIALIZED VIEW totals AS SELECT k, sum(v) AS total FROM s GROUP BY k;
SELECT * FROM totals;
INSERT INTO s VALUES ('a', 1), ('b', 2);
-- sort: rows
SELECT * FROM totals;
INSERT INTO s VALUES ('a', 3), ('c', 9);
SELECT k, total FROM totals WHERE total > 2 ORDER BY k;
SELECT sum(total) AS everything FROM totals;
CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM s EMIT COMPLETE;
SELECT * FROM totals;
CREATE MATERIALIZED VIEW IF NOT EXISTS totals AS SELECT 1 AS never FROM s;
SHOW MATERIALIZED VIEWS;
DROP MATERIALIZED VIEW totals;
-- error: totals
SELECT * FROM totals;
DROP MATERIALIZED VIEW IF EXISTS totals;
-- error: unknown materialized view: `totals`
DROP MATERIALIZED VIEW totals;

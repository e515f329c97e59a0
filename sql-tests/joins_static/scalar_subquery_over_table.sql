-- A scalar subquery over a table is a constant of the query.
CREATE TABLE limits AS SELECT column1 AS v FROM (VALUES (10), (20));
CREATE STREAM s (v BIGINT);
SELECT v, (SELECT max(v) FROM limits) AS top FROM s WHERE v > (SELECT min(v) FROM limits);
INSERT INTO s VALUES (5), (15);
INSERT INTO s VALUES (25);

-- A scalar subquery of perhaps several rows is refused: as a join it would multiply rows.
CREATE STREAM c (id BIGINT, f DOUBLE);
CREATE STREAM r (x BIGINT, f DOUBLE);
CREATE TABLE fixed AS VALUES (1.5), (2.5);
-- error: a scalar subquery has to be of one row
SELECT id FROM c WHERE f > (SELECT f FROM r) EMIT CHANGES;
-- error: a scalar subquery has to be of one row
SELECT id, (SELECT f FROM r WHERE x = 2) AS other FROM c EMIT CHANGES;
-- error: a scalar subquery has to be of one row
SELECT id FROM c WHERE f = (SELECT max(f) FROM r GROUP BY x) EMIT CHANGES;
-- error: a scalar subquery has to be of one row
SELECT id FROM c WHERE f > (SELECT column1 FROM fixed) EMIT APPEND;
SELECT id FROM c WHERE f > (SELECT max(column1) FROM fixed) EMIT APPEND;
SELECT id FROM c WHERE f > (SELECT f FROM r ORDER BY x, f LIMIT 1) EMIT CHANGES;
INSERT INTO c VALUES (1, 1.5), (2, 3), (3, NULL);
INSERT INTO r VALUES (2, 0.5);
INSERT INTO r VALUES (1, 2.5), (0, NULL);

-- A scalar subquery that computes what the query computes too: both columns have one name.
CREATE STREAM c (id INT, k INT);
SELECT k FROM c GROUP BY k HAVING max(id) = (SELECT max(id) FROM c) EMIT CHANGES;
SELECT k, max(id), (SELECT max(id) FROM c) AS greatest FROM c GROUP BY k EMIT CHANGES;
SELECT (SELECT count(*) FROM c) - count(*) AS others, k FROM c GROUP BY k HAVING count(*) < (SELECT count(*) FROM c) EMIT CHANGES;
SELECT id FROM c WHERE id = (SELECT max(id) FROM c WHERE id < (SELECT max(id) FROM c)) EMIT CHANGES;
INSERT INTO c VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO c VALUES (4, 1), (NULL, 2);

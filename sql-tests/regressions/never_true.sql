-- A condition that is never true does not go below an aggregate of all rows, which would still give its row.
CREATE STREAM a (v BIGINT);
CREATE STREAM b (s VARCHAR);
CREATE STREAM c (k BIGINT);
SELECT b.s FROM (SELECT min(v) FROM a) x JOIN (SELECT k, count(*) AS n FROM c GROUP BY k) y ON y.n IS NULL JOIN b ON true EMIT CHANGES;
SELECT b.s, y.n FROM b LEFT JOIN (SELECT k, count(*) AS n FROM c GROUP BY k) y ON y.n IS NULL EMIT APPEND;
SELECT b.s FROM b RIGHT JOIN (SELECT k FROM c) y ON 1 = 2 EMIT APPEND;
BEGIN;
INSERT INTO a VALUES (1);
INSERT INTO b VALUES ('y');
INSERT INTO c VALUES (3);
COMMIT;
INSERT INTO c VALUES (3), (4);

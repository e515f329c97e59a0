-- A correlated scalar with more than a column on its side of the equality says so, also below names of its own.
CREATE STREAM s (v BIGINT);
-- error: with a column from outside in more than equalities
SELECT (SELECT count(*) FROM (SELECT v AS c2 FROM s) i WHERE i.c2 + i.c2 = o.v) AS n FROM s o EMIT CHANGES;
-- error: with a column from outside in more than equalities
SELECT (SELECT sum(i.c2) FROM (SELECT v AS c2 FROM s) i WHERE i.c2 + 1 = nullif(o.c1, 0)) AS n FROM (SELECT v AS c1 FROM s) o EMIT CHANGES;
SELECT v, (SELECT count(*) FROM (SELECT v + v AS c2 FROM s) i WHERE i.c2 = o.v) AS n FROM s o EMIT CHANGES;
INSERT INTO s VALUES (1), (2), (2);

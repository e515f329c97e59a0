-- A column of the query that is called like the one that CHANGES adds.
CREATE STREAM s (op VARCHAR, v BIGINT);
SELECT op, v FROM s;
SELECT op, sum(v) AS v FROM s GROUP BY op EMIT UPDATE;
-- error: op
SELECT op, sum(v) AS v FROM s GROUP BY op EMIT CHANGES;
INSERT INTO s VALUES ('+I', 1), ('-D', 2);

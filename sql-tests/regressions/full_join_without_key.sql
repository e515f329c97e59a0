-- A row of NULLs that a FULL JOIN makes up looks like a group of NULL: then nothing identifies a row, and UPDATE is refused.
CREATE STREAM a (k BIGINT, v BIGINT);
-- error: UPDATE mode needs a key of the result
WITH t AS (SELECT avg(v) AS m FROM a) SELECT y.m FROM t x FULL JOIN t y ON x.m < y.m EMIT UPDATE;
WITH t AS (SELECT avg(v) AS m FROM a) SELECT x.m AS xm, y.m AS ym FROM t x FULL JOIN t y ON x.m < y.m EMIT CHANGES;
-- error: UPDATE mode needs a key of the result
SELECT x.k AS xk, y.k AS yk, n, total FROM (SELECT k, count(*) AS n FROM a GROUP BY k) x FULL JOIN (SELECT k, sum(v) AS total FROM a GROUP BY k) y ON x.k = y.k EMIT UPDATE;
INSERT INTO a VALUES (NULL, 1), (1, 2);
INSERT INTO a VALUES (NULL, 3), (2, NULL);

CREATE STREAM s (k VARCHAR, v BIGINT);
-- error: ORDER BY over a stream
SELECT v FROM s ORDER BY v;
-- error: LIMIT over a stream
SELECT v FROM s LIMIT 3;
-- error: OVER
SELECT v, row_number() OVER (ORDER BY v) AS n FROM s;
-- error: ORDER BY
SELECT k, sum(v) AS t FROM s GROUP BY k ORDER BY t EMIT UPDATE;
-- error: WITH RECURSIVE
WITH RECURSIVE r AS (SELECT v FROM s UNION ALL SELECT v + 1 FROM r WHERE v < 3) SELECT * FROM r;

-- UPDATE needs a key: that of the rows below, PARTITION BY with the row number, or PARTITION BY alone of the first row.
CREATE STREAM s (k VARCHAR, v BIGINT, w BIGINT);
SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n FROM s EMIT UPDATE;
SELECT k, v FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n FROM s) WHERE n = 1 EMIT UPDATE;
SELECT DISTINCT ON (k) k, v, w FROM s ORDER BY k, v DESC, w;
SELECT k, total, rank() OVER (ORDER BY total DESC) AS place FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) EMIT UPDATE;
SELECT v, w FROM s ORDER BY v DESC, w LIMIT 1 EMIT UPDATE;
-- error: UPDATE mode needs the key of the result in the SELECT list; add `s.k`
SELECT v, row_number() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM s EMIT UPDATE;
-- error: UPDATE mode needs a key of the result, and none can be derived
SELECT k, v, rank() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM s EMIT UPDATE;
-- error: UPDATE mode needs a key of the result, and none can be derived
SELECT k, v FROM s QUALIFY rank() OVER (PARTITION BY k ORDER BY v DESC) = 1 EMIT UPDATE;
INSERT INTO s VALUES ('a', 1, 1), ('b', 2, 1), (NULL, NULL, 1);
INSERT INTO s VALUES ('a', 1, 0), ('b', 7, 1), ('b', 7, 2);
INSERT INTO s VALUES (NULL, 3, 3), ('c', 0, 0);

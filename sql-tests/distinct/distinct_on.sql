-- DISTINCT ON without ORDER BY keeps the first row per key that comes.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT DISTINCT ON (k) k, v FROM s;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3);
INSERT INTO s VALUES ('a', 4), ('c', 5), (NULL, 6), (NULL, 7);

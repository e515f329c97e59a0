-- A global aggregate has a row although the filter leaves none over.
CREATE STREAM s (v BIGINT);
SELECT count(*) AS n, sum(v) AS total FROM s WHERE v > 100 EMIT COMPLETE;
SELECT count(*) AS n, sum(v) AS total FROM s WHERE v > 100 EMIT UPDATE;
SELECT v, count(*) AS n FROM s WHERE v > 100 GROUP BY v EMIT COMPLETE;
INSERT INTO s VALUES (1);
INSERT INTO s VALUES (200), (2);

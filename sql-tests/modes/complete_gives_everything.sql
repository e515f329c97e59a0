-- COMPLETE gives the whole result in every batch.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, sum(v) AS total, count(*) AS n FROM s GROUP BY k EMIT COMPLETE;
SELECT sum(v) AS total FROM s EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3);
INSERT INTO s VALUES ('c', NULL);
INSERT INTO s VALUES ('a', -4);

-- HAVING: a group may come and go. UPDATE deletes it, CHANGES says -D.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE MATERIALIZED VIEW big AS SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 10 EMIT UPDATE;
SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 10 EMIT UPDATE;
SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 10 EMIT CHANGES;
SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) > 10 EMIT COMPLETE;
INSERT INTO s VALUES ('a', 8), ('b', 20);
INSERT INTO s VALUES ('a', 8);
-- sort: rows
SELECT * FROM big;
INSERT INTO s VALUES ('a', -10), ('b', 1);
SELECT * FROM big;
INSERT INTO s VALUES ('b', -20);
SELECT * FROM big;

-- CHANGES gives every change with its kind: +I -U +U -D.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, sum(v) AS total FROM s GROUP BY k EMIT CHANGES;
SELECT sum(v) AS total FROM s EMIT CHANGES;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3);
INSERT INTO s VALUES ('a', 4), ('c', 0);
INSERT INTO s VALUES ('c', 0);

-- Of rows that are only added, CHANGES are inserts; UPDATE needs no key and is as APPEND.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, v FROM s EMIT CHANGES;
SELECT v FROM s WHERE v > 1 EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('b', 2);

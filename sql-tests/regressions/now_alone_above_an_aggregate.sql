-- A condition on now() alone is not pushed below an aggregate of all rows, which gives a row of nothing.
CREATE STREAM s (v BIGINT);
SELECT n FROM (SELECT count(*) AS n FROM s) WHERE now() < TIMESTAMP '2026-01-01 00:00:03' EMIT CHANGES;
SELECT n FROM (SELECT count(*) AS n FROM s) WHERE now() >= TIMESTAMP '2026-01-01 00:00:03' EMIT CHANGES;
-- Without any column.
SELECT count(*) AS n FROM s WHERE now() >= TIMESTAMP '2026-01-01 00:00:02' EMIT UPDATE;
INSERT INTO s VALUES (1);
INSERT INTO s VALUES (2);
INSERT INTO s VALUES (3);
INSERT INTO s VALUES (4);

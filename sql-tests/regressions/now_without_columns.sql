-- Rows of which no column is needed come with now() too, several at a time.
CREATE STREAM s (id BIGINT);
SELECT count(*) AS n FROM s WHERE now() > TIMESTAMP '2026-01-01 00:00:03' EMIT UPDATE;
INSERT INTO s VALUES (1), (2);
INSERT INTO s VALUES (3);
INSERT INTO s VALUES (4);
INSERT INTO s VALUES (5);
INSERT INTO s VALUES (6), (7);

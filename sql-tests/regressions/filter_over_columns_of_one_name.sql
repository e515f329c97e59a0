-- A filter on the padded side of an outer join whose sides have columns of one name is about that side.
CREATE STREAM beta (k BIGINT, ts TIMESTAMP(3));
CREATE STREAM gamma (k BIGINT, ts TIMESTAMP(3));
CREATE TABLE fixed (k BIGINT, ts TIMESTAMP(3)) AS VALUES (1, TIMESTAMP '2026-01-01 00:00:44');
CREATE TABLE empty (k BIGINT, ts TIMESTAMP(3));
SELECT b.k FROM empty g RIGHT JOIN (SELECT * FROM fixed WHERE ts IS NOT NULL) b ON g.ts = b.ts WHERE g.k IS NULL;
SELECT b.k FROM gamma g RIGHT JOIN TUMBLE(TABLE beta, DESCRIPTOR(ts), INTERVAL '20' SECOND) b ON g.ts = b.ts WHERE g.k IS NULL EMIT CHANGES;
SELECT b.k FROM empty g RIGHT JOIN (SELECT * FROM beta WHERE ts IS NOT NULL) b ON g.ts = b.ts WHERE g.k IS NULL EMIT APPEND;
INSERT INTO beta VALUES (1, '2026-01-01 00:00:44');
INSERT INTO gamma VALUES (NULL, '2026-01-01 00:00:44'), (5, '2026-01-01 00:00:44');

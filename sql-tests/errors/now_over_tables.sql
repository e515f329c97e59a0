-- now() over the rows of a table would stand still, since a table is read once.
CREATE STREAM s (id BIGINT, k VARCHAR, t TIMESTAMP(3));
CREATE TABLE st AS VALUES ('a', 1, TIMESTAMP '2026-01-01 00:00:03'), ('b', 2, TIMESTAMP '2026-01-01 00:00:05');
-- error: now() over the rows of a table would stand still
SELECT s.id, st.column2 FROM s JOIN st ON s.k = st.column1 WHERE st.column3 > now() EMIT CHANGES;
-- error: now() over the rows of a table would stand still
SELECT s.id, st.column2 FROM s JOIN st ON s.k = st.column1 WHERE st.column3 > now() EMIT APPEND;
-- error: now() over the rows of a table would stand still
SELECT k, count(*) FROM s WHERE k IN (SELECT column1 FROM st WHERE column3 > now()) GROUP BY k EMIT UPDATE;
-- error: now() over the rows of a table would stand still
SELECT id FROM s UNION ALL SELECT column2 FROM st WHERE column3 < now() EMIT CHANGES;
-- error: now() over the rows of a table would stand still
SELECT id FROM s WHERE t > (SELECT now() - INTERVAL '2 seconds') EMIT CHANGES;
SELECT s.id, st.column2 FROM s JOIN st ON s.k = st.column1 WHERE st.column3 > s.t EMIT CHANGES;
INSERT INTO s VALUES (1, 'a', '2026-01-01 00:00:00'), (3, 'b', '2026-01-01 00:00:05'), (4, 'b', '2026-01-01 00:00:04');

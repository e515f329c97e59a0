-- UPDATE of an insert-only query was refused for want of a key, when a subquery over a static table had an aggregate.
CREATE TABLE d AS SELECT column1 AS k, column2 AS w FROM (VALUES ('a', 1), ('a', 2), ('b', 3));
CREATE STREAM s (id BIGINT, k VARCHAR);
CREATE SINK o WITH (connector = 'memory');
INSERT INTO o SELECT id, (SELECT max(w) FROM d WHERE d.k = s.k) AS top FROM s EMIT UPDATE WITH (name = 'q');
INSERT INTO s VALUES (1, 'a'), (2, 'c');
INSERT INTO s VALUES (3, 'b');
-- (1, 2), (2, NULL), (3, 3)
SELECT * FROM o;

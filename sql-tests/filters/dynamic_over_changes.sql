-- Rows that are taken back, and a scalar that becomes smaller, NULL and nothing.
CREATE STREAM c (id BIGINT, price DOUBLE, op VARCHAR) WITH (op_column = 'op');
SELECT id, price FROM c WHERE price < (SELECT max(price) FROM c) EMIT CHANGES;
SELECT count(*) AS n, sum(id) AS ids FROM c WHERE price >= (SELECT avg(price) FROM c HAVING count(*) > 1) EMIT UPDATE;
-- A bound that the rows themselves move.
SELECT id FROM c WHERE id > (SELECT count(*) FROM c WHERE price > 1) EMIT CHANGES;
INSERT INTO c VALUES (1, 1.5, '+I'), (2, 2.5, '+I'), (3, 'NaN', '+I');
INSERT INTO c VALUES (3, 'NaN', '-D'), (4, -0.0, '+I'), (5, 0.0, '+I'), (5, 0.0, '+I');
INSERT INTO c VALUES (2, 2.5, '-D'), (5, 0.0, '-D');
INSERT INTO c VALUES (1, 1.5, '-D'), (4, -0.0, '-D'), (5, 0.0, '-D');
INSERT INTO c VALUES (6, NULL, '+I'), (7, 1.0, '+I'), (8, 2.0, '+I');

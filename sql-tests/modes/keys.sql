-- UPDATE by a key that a stream declares, that follows from joins, or that the query declares.

-- A stream of changes with a primary key: a row that changes replaces its old version.
CREATE STREAM accounts (id INT, owner VARCHAR, city VARCHAR, op VARCHAR, PRIMARY KEY (id) NOT ENFORCED) WITH (op_column = 'op');
SELECT city, id AS account FROM accounts WHERE owner <> 'nobody' EMIT UPDATE WITH (name = 'by_primary_key');

-- Each order has one account at most, so an order is known by its own key.
CREATE STREAM orders (nr INT PRIMARY KEY NOT ENFORCED, account INT, amount INT);
SELECT nr, amount, owner FROM orders LEFT JOIN accounts ON account = id EMIT UPDATE WITH (name = 'orders_with_owner');
SELECT o.nr, amount, total
FROM orders o JOIN (SELECT account AS a, sum(amount) AS total FROM orders GROUP BY account) t ON o.account = t.a
EMIT UPDATE WITH (name = 'orders_with_total');

-- Nobody can tell that cities are known by their names.
CREATE STREAM cities (name VARCHAR, mayor VARCHAR, op VARCHAR) WITH (op_column = 'op');
SELECT name, mayor FROM cities EMIT UPDATE WITH (name = 'declared', key = 'name');
SELECT name, mayor FROM cities EMIT CHANGES WITH (name = 'versions', key = 'name');

BEGIN;
INSERT INTO accounts VALUES (1, 'Ada', 'Rome', '+I'), (2, 'Bob', 'Oslo', '+I'), (3, 'nobody', 'Bonn', '+I');
INSERT INTO cities VALUES ('Rome', 'Gus', '+I'), ('Oslo', 'Liv', '+I');
INSERT INTO orders VALUES (10, 1, 5), (11, 1, 6), (12, 9, 7);
COMMIT;
BEGIN;
INSERT INTO accounts VALUES (1, 'Ada', 'Rome', '-U'), (1, 'Ada', 'Bern', '+U'), (2, 'Bob', 'Oslo', '-D'),
                            (3, 'nobody', 'Bonn', '-U'), (3, 'Cy', 'Bonn', '+U');
INSERT INTO cities VALUES ('Rome', 'Gus', '-U'), ('Rome', 'Ida', '+U'), ('Oslo', 'Liv', '-D');
INSERT INTO orders VALUES (13, 1, 1);
COMMIT;

-- What cannot be a key says so.
-- error: unknown column of the key: `naem`; did you mean `name`?
SELECT name, mayor FROM cities EMIT UPDATE WITH (key = 'naem');
-- error: a key says which rows of UPDATE and CHANGES are versions of one row, and APPEND has no versions; leave it out
SELECT name, mayor FROM cities EMIT APPEND WITH (key = 'name');
-- error: option `key` of the query must be different column names with commas between: `name, `
SELECT name, mayor FROM cities EMIT UPDATE WITH (key = 'name, ');
-- error: declare a key: WITH (key = 'a, b')
SELECT name, mayor FROM cities EMIT UPDATE;
-- error: add `nr`
SELECT amount, owner FROM orders LEFT JOIN accounts ON account = id EMIT UPDATE;
-- error: a primary key is of columns that the records have, and `day` is computed or metadata; declare others
CREATE STREAM e (at TIMESTAMP, day AS date_trunc('day', at), PRIMARY KEY (day) NOT ENFORCED);

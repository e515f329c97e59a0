-- A stream of changes: rows come and go as a column says; what is computed from them follows.
CREATE STREAM accounts (id BIGINT, owner VARCHAR, balance BIGINT, op VARCHAR) WITH (op_column = 'op');
CREATE STREAM orders (account BIGINT, amount BIGINT);
DESCRIBE accounts;
SELECT id, balance + 1 AS more FROM accounts WHERE balance > 5 EMIT CHANGES;
SELECT owner, account, amount FROM orders JOIN accounts ON account = id EMIT CHANGES;
SELECT a.id, b.id AS other FROM accounts a LEFT JOIN accounts b ON a.owner = b.owner AND a.id < b.id EMIT CHANGES;
SELECT id FROM accounts WHERE NOT EXISTS (SELECT 1 FROM orders WHERE account = id) EMIT CHANGES;
INSERT INTO accounts VALUES (1, 'Ann', 10, '+I'), (2, 'Bob', 20, '+I'), (3, 'Ann', 1, '+I');
INSERT INTO orders VALUES (1, 5), (2, 6), (9, 7);
INSERT INTO accounts VALUES (1, 'Ann', 10, '-U'), (1, 'Ann', 2, '+U'), (2, 'Bob', 20, '-D');
INSERT INTO accounts VALUES (9, NULL, 9, '+I'), (3, 'Ann', 1, '-U'), (3, 'Ann', 100, '+U'), (3, 'Ann', 100, '-D');

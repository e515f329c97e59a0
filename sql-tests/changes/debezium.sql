-- Debezium's records, bare and with their schema, from files: rows that come, change and go.
CREATE STREAM customers (id BIGINT, name VARCHAR, city VARCHAR)
WITH (connector = 'file', path = '${DIR}/../data/customers/', format = 'debezium_json', max_rows_per_batch = '1');
CREATE STREAM orders (customer BIGINT, amount BIGINT);
SHOW CREATE STREAM customers;
INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30);
SELECT city, name FROM customers EMIT CHANGES;
SELECT name, amount FROM orders LEFT JOIN customers ON customer = id EMIT CHANGES;
INSERT INTO orders VALUES (2, 5);

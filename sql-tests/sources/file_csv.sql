-- CSV with a header; columns by declaration.
CREATE STREAM events (id INT, name VARCHAR, at TIMESTAMP(3))
WITH (connector = 'file', path = '${DIR}/../data/events/', format = 'csv', header = 'true');
SELECT id, name, at FROM events;
DESCRIBE STREAM events;

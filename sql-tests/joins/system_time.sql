-- FOR SYSTEM_TIME AS OF: the version of a stream's rows at an event time, or a table as it is.
CREATE STREAM orders (id BIGINT, currency VARCHAR, at TIMESTAMP(3), proc AS PROCTIME(), WATERMARK FOR at AS at - INTERVAL '5 seconds');
CREATE STREAM rates (currency VARCHAR, at TIMESTAMP(3), rate BIGINT, WATERMARK FOR at AS at - INTERVAL '5 seconds');
CREATE TABLE names AS VALUES ('EUR', 'Euro'), ('USD', 'Dollar');
SELECT o.id, r.at AS since, r.rate FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.at AS r ON o.currency = r.currency EMIT APPEND;
SELECT id, rate FROM orders o LEFT JOIN rates FOR SYSTEM_TIME AS OF o.at r USING (currency) EMIT CHANGES;
SELECT o.id, n.column2 AS name FROM orders o JOIN names FOR SYSTEM_TIME AS OF o.proc AS n ON o.currency = n.column1;
SELECT o.id, n.column2 AS name, r.rate FROM orders AS o
LEFT JOIN names FOR SYSTEM_TIME AS OF now() AS n ON o.currency = n.column1
JOIN rates FOR SYSTEM_TIME AS OF o.at AS r ON o.currency = r.currency AND n.column1 = r.currency
EMIT APPEND;
INSERT INTO rates VALUES ('EUR', '2026-01-01 00:00:00', 100), ('USD', '2026-01-01 00:00:00', 80), ('EUR', '2026-01-01 00:00:10', 110);
INSERT INTO orders VALUES (1, 'EUR', '2026-01-01 00:00:05'), (2, 'USD', '2026-01-01 00:00:07'), (3, 'EUR', '2026-01-01 00:00:12'), (4, 'JPY', '2026-01-01 00:00:02'), (5, NULL, '2026-01-01 00:00:02');
INSERT INTO rates VALUES ('EUR', '2026-01-01 00:00:04', 105), ('USD', '2026-01-01 00:00:30', 81);
INSERT INTO orders VALUES (6, 'USD', '2026-01-01 00:00:40');

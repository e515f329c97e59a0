-- Partners that come only some time after: a row on time still meets the rows that are kept, whatever has left before.
CREATE STREAM orders (id BIGINT, at TIMESTAMP(3), WATERMARK FOR at);
CREATE STREAM returns (id BIGINT, at TIMESTAMP(3), WATERMARK FOR at);
SELECT o.id, o.at AS ordered, r.at AS returned FROM orders o JOIN returns r
  ON o.id = r.id AND r.at BETWEEN o.at + INTERVAL '5 seconds' AND o.at + INTERVAL '20 seconds' EMIT APPEND;
SELECT r.id, r.at AS returned, o.at AS ordered FROM returns r LEFT JOIN orders o
  ON o.id = r.id AND r.at BETWEEN o.at + INTERVAL '5 seconds' AND o.at + INTERVAL '20 seconds' EMIT APPEND;
INSERT INTO orders VALUES (1, '2026-01-01 00:00:10'), (2, '2026-01-01 00:00:12'), (3, '2026-01-01 00:00:13');
INSERT INTO returns VALUES (9, '2026-01-01 00:00:11');
INSERT INTO orders VALUES (4, '2026-01-01 00:00:14');
INSERT INTO returns VALUES (9, '2026-01-01 00:00:14');
INSERT INTO returns VALUES (1, '2026-01-01 00:00:15'), (9, '2026-01-01 00:00:16');
INSERT INTO returns VALUES (2, '2026-01-01 00:00:17'), (8, '2026-01-01 00:00:18');
INSERT INTO orders VALUES (5, '2026-01-01 00:01:00');
INSERT INTO returns VALUES (5, '2026-01-01 00:01:06'), (5, '2026-01-01 00:01:01');

-- A comparison with a scalar of a stream: when the scalar moves, the rows that it passes come and go.
CREATE STREAM s (id BIGINT, k VARCHAR, price BIGINT);

-- The key of s is not known, so each change is told.
SELECT id, price FROM s WHERE price > (SELECT avg(price) FROM s) EMIT CHANGES;
SELECT k, count(*) AS n FROM s WHERE price >= (SELECT max(price) - 10 FROM s WHERE k = 'a') GROUP BY k EMIT UPDATE;
-- Most bids of all, as in Nexmark's query 102.
SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) >= (SELECT avg(c) FROM (SELECT count(*) AS c FROM s GROUP BY k) x) EMIT UPDATE;
-- Two bounds.
SELECT id, price FROM s WHERE price BETWEEN (SELECT avg(price) FROM s) AND (SELECT max(price) - 5 FROM s) EMIT CHANGES;
-- The scalar first, and what is compared is no column.
SELECT id FROM s WHERE (SELECT min(price) FROM s WHERE k = 'b') > price * 2 EMIT CHANGES;
SELECT k, sum(price) AS total FROM s WHERE k <= (SELECT max(k) FROM s WHERE price < 10) GROUP BY k EMIT UPDATE;

INSERT INTO s VALUES (1, 'a', 10), (2, 'b', 20), (3, 'b', 30);
INSERT INTO s VALUES (4, 'a', 100), (5, NULL, NULL), (6, 'b', 95);
INSERT INTO s VALUES (7, 'c', 1), (8, 'c', 2), (9, 'c', 3), (10, 'a', -50);
INSERT INTO s VALUES (11, 'b', 200), (12, 'b', 0);

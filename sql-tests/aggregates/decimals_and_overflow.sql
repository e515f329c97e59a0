-- Sums of decimals are exact; averages of integers are floats.
CREATE STREAM s (k INT, d DECIMAL(10, 2), i INT);
SELECT k, sum(d) AS d, avg(d) AS mean, sum(i) AS i, avg(i) AS imean FROM s GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES (1, '0.10', 2147483647), (1, '0.20', 2147483647), (2, '-99999999.99', -1);
INSERT INTO s VALUES (1, '0.01', 1), (2, NULL, NULL);

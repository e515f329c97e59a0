-- Rows without a partner come at once and are taken back when one comes.
CREATE STREAM l (k BIGINT, a VARCHAR);
CREATE STREAM r (k BIGINT, b VARCHAR);
SELECT l.k, a, b FROM l LEFT JOIN r ON l.k = r.k EMIT CHANGES;
SELECT a, r.k, b FROM l RIGHT JOIN r ON l.k = r.k EMIT CHANGES;
SELECT l.k, a, r.k AS k2, b FROM l FULL JOIN r ON l.k = r.k EMIT CHANGES;
SELECT k, a, b FROM l FULL JOIN r USING (k) EMIT CHANGES;
SELECT l.k, a, b FROM l LEFT JOIN r ON l.k = r.k AND a < b EMIT CHANGES;
INSERT INTO l VALUES (1, 'a'), (2, 'b'), (NULL, 'c');
INSERT INTO r VALUES (1, 'x'), (NULL, 'y');
INSERT INTO r VALUES (1, 'A'), (3, 'z');
INSERT INTO l VALUES (3, 'd'), (1, 'a');

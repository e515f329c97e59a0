-- EXISTS, IN, NOT EXISTS, NOT IN (NULLs on both sides), and EXISTS beside another condition (a mark join).
CREATE STREAM l (k BIGINT, a VARCHAR);
CREATE STREAM r (k BIGINT, b VARCHAR);
SELECT k, a FROM l WHERE k IN (SELECT k FROM r);
SELECT k, a FROM l WHERE EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.b > l.a);
SELECT k, a FROM l WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.k = l.k) EMIT CHANGES;
SELECT k, a FROM l WHERE k NOT IN (SELECT k FROM r) EMIT CHANGES;
SELECT k, a FROM l WHERE a = 'c' OR EXISTS (SELECT 1 FROM r WHERE r.k = l.k) EMIT CHANGES;
INSERT INTO l VALUES (1, 'a'), (2, 'b'), (NULL, 'c'), (1, 'a');
INSERT INTO r VALUES (1, 'x'), (1, 'y');
INSERT INTO l VALUES (1, 'z'), (4, 'd');
INSERT INTO r VALUES (2, 'a'), (NULL, 'n');
INSERT INTO r VALUES (4, 'e');

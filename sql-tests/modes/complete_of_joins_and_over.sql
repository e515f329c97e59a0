-- COMPLETE over what joins, OVER and LIMIT keep: every batch gives all of it, in order where it is asked for.
CREATE STREAM a (x BIGINT, s VARCHAR);
CREATE STREAM b (x BIGINT, t VARCHAR);
SELECT a.x, s, t FROM a LEFT JOIN b ON a.x = b.x ORDER BY a.x EMIT COMPLETE;
SELECT a.x, sum(a.x) OVER (PARTITION BY t ORDER BY a.x) AS total FROM a JOIN b ON a.x = b.x EMIT COMPLETE;
SELECT x, s FROM a ORDER BY x DESC LIMIT 2 EMIT COMPLETE;
SELECT count(*) AS n FROM (SELECT x FROM a ORDER BY x LIMIT 2) EMIT COMPLETE;
SELECT x FROM drop_duplicates(TABLE a, DESCRIPTOR(x)) ORDER BY x EMIT COMPLETE;
SELECT DISTINCT ON (x % 2) x, s FROM a ORDER BY x % 2, x DESC EMIT COMPLETE;
-- error: COMPLETE mode needs a result that is kept
SELECT x FROM a EMIT COMPLETE;
INSERT INTO a VALUES (1, 'one'), (2, 'two');
BEGIN;
INSERT INTO b VALUES (1, 'eins'), (3, 'drei');
INSERT INTO a VALUES (3, 'three'), (1, 'uno');
COMMIT;
INSERT INTO b VALUES (1, 'un'), (1, 'un');

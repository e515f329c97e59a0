-- Two UPDATE queries overwrote each other's rows in one memory sink; with other columns the first one broke.
CREATE STREAM s (k VARCHAR);
CREATE SINK o WITH (connector = 'memory');
CREATE SINK both WITH (connector = 'memory');
INSERT INTO o SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE WITH (name = 'first');
-- error: two queries share a memory sink only in APPEND mode
INSERT INTO o SELECT upper(k) AS k, count(*) AS n FROM s GROUP BY upper(k) EMIT UPDATE WITH (name = 'second');
INSERT INTO both SELECT k FROM s EMIT APPEND WITH (name = 'third');
INSERT INTO both SELECT upper(k) AS k FROM s EMIT APPEND WITH (name = 'fourth');
INSERT INTO s VALUES ('a'), ('A');
-- ('A', 1), ('a', 1)
SELECT * FROM o;
-- A, A, A, a: which query adds first is open
SELECT * FROM both ORDER BY k;

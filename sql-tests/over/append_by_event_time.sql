-- OVER by event time in APPEND: a row comes out once the watermark has passed it, with a value that looks back only.
CREATE STREAM s (k INT, x INT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '5 seconds');

SELECT k, ts, x, sum(x) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND CURRENT ROW) AS near,
       sum(x) OVER (PARTITION BY k ORDER BY ts) AS total, lag(x) OVER (PARTITION BY k ORDER BY ts) AS before
FROM s EMIT APPEND WITH (name = 'over');
-- The first row of each key by event time, and the first three of all.
SELECT DISTINCT ON (k) k, x, ts FROM s ORDER BY k, ts EMIT APPEND WITH (name = 'distinct_on');
SELECT k, x FROM s QUALIFY row_number() OVER (PARTITION BY k ORDER BY ts) = 1 EMIT APPEND WITH (name = 'firsts');
SELECT k, x, ts FROM s ORDER BY ts LIMIT 3 EMIT APPEND WITH (name = 'first_three');
SELECT ts, count(*) OVER (ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS n FROM s WHERE x > 1 EMIT APPEND WITH (name = 'all_rows');
-- Of these only rows are kept that the next one of the partition sees.
SELECT k, ts, min(x) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND CURRENT ROW) AS low,
       lag(x, 2) OVER (PARTITION BY k ORDER BY ts) AS before, count(*) OVER (PARTITION BY k ORDER BY ts GROUPS 1 PRECEDING) AS n
FROM s EMIT APPEND WITH (name = 'few');
EXPLAIN STREAMING SELECT k, lag(x) OVER (PARTITION BY k ORDER BY ts) AS r FROM s EMIT APPEND;
EXPLAIN STREAMING SELECT k, rank() OVER (PARTITION BY k ORDER BY ts, x) AS r FROM s EMIT APPEND;

INSERT INTO s VALUES (1, 1, '2026-01-01 00:00:10'), (2, 5, '2026-01-01 00:00:03'), (1, 2, '2026-01-01 00:00:01'), (1, 9, NULL);
-- Out of order, twice at one time, of a new key, and late.
INSERT INTO s VALUES (1, 3, '2026-01-01 00:00:08'), (1, 4, '2026-01-01 00:00:10'), (NULL, 7, '2026-01-01 00:00:05'), (2, 6, '2026-01-01 00:00:04');
INSERT INTO s VALUES (2, 8, '2026-01-01 00:00:30');
INSERT INTO s VALUES (1, 1, '2026-01-01 00:00:26'), (1, 1, '2026-01-01 00:00:24'), (2, 1, '2026-01-01 00:01:00');
INSERT INTO s VALUES (3, 1, '2026-01-01 00:02:00');

-- What looks ahead is never final.
-- error: OVER in APPEND mode needs
SELECT k, lead(x) OVER (PARTITION BY k ORDER BY ts) FROM s EMIT APPEND;
-- error: OVER in APPEND mode needs
SELECT k, sum(x) OVER (PARTITION BY k ORDER BY ts DESC) FROM s EMIT APPEND;
-- error: OVER in APPEND mode needs
SELECT k, sum(x) OVER (PARTITION BY k ORDER BY ts NULLS FIRST) FROM s EMIT APPEND;
-- error: OVER in APPEND mode needs
SELECT k, sum(x) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM s EMIT APPEND;
-- error: OVER in APPEND mode needs
SELECT k, sum(x) OVER (PARTITION BY k ORDER BY x) FROM s EMIT APPEND;

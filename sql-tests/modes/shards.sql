-- State in shards: the answer and the state are those of one, only rows within a batch come in another order.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);

EXPLAIN STREAMING SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE;

SET acequia.shards = 4;

-- By the key; by the window where there is nothing else; in one piece where nothing tells rows apart.
EXPLAIN STREAMING SELECT window(ts, '10 seconds') AS w, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k EMIT APPEND;
EXPLAIN STREAMING SELECT window(ts, '10 seconds') AS w, count(*) AS n FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND;
EXPLAIN STREAMING SELECT session_window(ts, '10 seconds') AS w, k, count(*) AS n FROM s GROUP BY session_window(ts, '10 seconds'), k EMIT APPEND;
EXPLAIN STREAMING SELECT DISTINCT ON (v) k, v FROM s EMIT APPEND;
EXPLAIN STREAMING SELECT count(*) AS n FROM s EMIT UPDATE;
EXPLAIN STREAMING SELECT k, v, count(*) AS n FROM s GROUP BY ROLLUP(k, v) EMIT COMPLETE;

CREATE MATERIALIZED VIEW by_key AS SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k EMIT UPDATE;
CREATE MATERIALIZED VIEW by_window AS SELECT window(ts, '10 seconds')['start'] AS t, count(*) AS n FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND;
CREATE MATERIALIZED VIEW everything AS SELECT count(*) AS n, max(v) AS top FROM s EMIT COMPLETE;
CREATE MATERIALIZED VIEW sessions AS SELECT session_window(ts, '5 seconds')['start'] AS t, k, count(*) AS n FROM s GROUP BY session_window(ts, '5 seconds'), k EMIT CHANGES;
CREATE MATERIALIZED VIEW firsts AS SELECT DISTINCT ON (k) k, v FROM s EMIT APPEND;
CREATE MATERIALIZED VIEW rolled AS SELECT k, v % 2 AS odd, count(*) AS n FROM s GROUP BY ROLLUP(k, v % 2) EMIT COMPLETE;

INSERT INTO s VALUES ('a', 1, '2024-01-01 00:00:01'), ('b', 2, '2024-01-01 00:00:02'), (NULL, 3, '2024-01-01 00:00:03'), ('a', 4, '2024-01-01 00:00:04'), ('', 5, '2024-01-01 00:00:05');
INSERT INTO s VALUES ('c', 6, '2024-01-01 00:00:21'), (NULL, 7, '2024-01-01 00:00:08'), ('b', 8, '2024-01-01 00:00:12');
-- Late for the window, whatever its key.
INSERT INTO s VALUES ('d', 9, '2024-01-01 00:00:02');

-- sort: rows
SELECT * FROM by_key;
-- sort: rows
SELECT * FROM by_window;
SELECT * FROM everything;
-- sort: rows
SELECT * FROM firsts;
-- sort: rows
SELECT * FROM rolled;

-- The rows of all shards.
-- sort: rows
SELECT "row" FROM state('by_key');
SELECT state_rows, late_rows FROM progress('by_window');

SET acequia.shards = 1;
EXPLAIN STREAMING SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE;

-- error: the number of shards is neither `auto` nor from 1 to 1024: value=`0`
SET acequia.shards = 0;
-- error: the number of shards is neither `auto` nor from 1 to 1024: value=`1025`
SET acequia.shards = 1025;
-- error: the number of shards is neither `auto` nor from 1 to 1024: value=`many`
SET acequia.shards = 'many';
-- error: acequia.shards
SET acequia.shard = 4;

SET acequia.shards = 'auto';
CREATE STREAM later (k BIGINT);
SELECT k, count(*) AS n FROM later GROUP BY k EMIT UPDATE WITH (name = 'by_itself');
INSERT INTO later VALUES (1), (2), (1);

-- A view of rows that leave as now() moves on, and a view on it. Both have the time of the last batch.
CREATE STREAM s (id BIGINT, t TIMESTAMP(3));
CREATE MATERIALIZED VIEW recent AS SELECT id FROM s WHERE t > now() - INTERVAL '2 seconds' EMIT COMPLETE;
CREATE MATERIALIZED VIEW how_many AS SELECT count(*) AS n FROM recent;
-- What is out stays out.
-- oracle: off rows that are out do not leave as now() moves on
CREATE MATERIALIZED VIEW seen AS SELECT id FROM s WHERE t > now() - INTERVAL '2 seconds';
INSERT INTO s VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:01'), (3, '2025-01-01 00:00:00');
INSERT INTO s VALUES (4, '2026-01-01 00:00:02');
SELECT * FROM recent ORDER BY id;
SELECT * FROM how_many;
SELECT * FROM seen ORDER BY id;
EXPLAIN STREAMING SELECT id FROM recent EMIT CHANGES;

-- UPDATE over windows gives each change; a closed window leaves the state and its row stays.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT date_bin(INTERVAL '10 seconds', ts) AS bin, k, count(*) AS n FROM s GROUP BY 1, 2 EMIT UPDATE;
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('a', '2026-01-01 00:00:02'), ('b', '2026-01-01 00:00:11');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:03'), ('b', '2026-01-01 00:00:12');

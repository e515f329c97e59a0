-- With the event time among its columns DISTINCT forgets what the watermark has passed, and such rows are late.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT DISTINCT k, ts FROM s;
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('a', '2026-01-01 00:00:01');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('b', '2026-01-01 00:00:05');
INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('b', '2026-01-01 00:00:05');

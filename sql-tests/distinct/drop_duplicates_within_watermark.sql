-- A key is forgotten once its first event time plus the delay has passed.
CREATE STREAM s (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);
-- oracle: off what is forgotten depends on the order of arrival
SELECT id, ts FROM drop_duplicates_within_watermark(TABLE s, DESCRIPTOR(id));
INSERT INTO s VALUES (1, '2026-01-01 00:00:01'), (1, '2026-01-01 00:00:05');
INSERT INTO s VALUES (2, '2026-01-01 00:00:20'), (1, '2026-01-01 00:00:11');
INSERT INTO s VALUES (3, '2026-01-01 00:00:22');
INSERT INTO s VALUES (1, '2026-01-01 00:00:13');

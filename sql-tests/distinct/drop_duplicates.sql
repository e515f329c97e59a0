-- drop_duplicates: the first row per key, for ever or while its event time can still come.
CREATE STREAM s (id BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT id, v FROM drop_duplicates(TABLE s, DESCRIPTOR(id));
SELECT id, ts FROM drop_duplicates(TABLE s, DESCRIPTOR(id, ts));
SELECT id, v, ts FROM drop_duplicates(TABLE s);
INSERT INTO s VALUES (1, 10, '2026-01-01 00:00:01'), (1, 10, '2026-01-01 00:00:01'), (2, 20, '2026-01-01 00:00:05');
INSERT INTO s VALUES (1, 11, '2026-01-01 00:00:05'), (2, 21, '2026-01-01 00:00:05'), (1, 12, '2026-01-01 00:00:01');

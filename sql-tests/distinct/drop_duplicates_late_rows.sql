-- With the event time in the key a duplicate is late rather than remembered; without it a key is kept for ever.
CREATE STREAM s (id BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT id, ts, v FROM drop_duplicates(TABLE s, DESCRIPTOR(id, ts)) WITH (name = 'forgets');
SELECT id, v FROM drop_duplicates(TABLE s, DESCRIPTOR(id)) WITH (name = 'keeps');
INSERT INTO s VALUES (1, 1, '2026-01-01 00:00:10'), (NULL, 2, '2026-01-01 00:00:10'), (NULL, 4, '2026-01-01 00:00:10');
-- Exactly on the watermark: in time, and a duplicate.
INSERT INTO s VALUES (1, 8, '2026-01-01 00:00:10'), (2, 16, '2026-01-01 00:00:10');
INSERT INTO s VALUES (3, 32, '2026-01-01 00:00:20');
INSERT INTO s VALUES (1, 64, '2026-01-01 00:00:10'), (4, 128, '2026-01-01 00:00:19.999');

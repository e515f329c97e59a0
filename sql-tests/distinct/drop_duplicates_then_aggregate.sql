-- Duplicates go, then a windowed aggregate; and an aggregate's rows go through drop_duplicates.
CREATE STREAM s (id BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT window.start AS start, count(*) AS n, sum(v) AS total
FROM (SELECT * FROM drop_duplicates(TABLE s, DESCRIPTOR(id, ts))) GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT count(*) AS n, sum(v) AS total FROM (SELECT * FROM drop_duplicates(TABLE s, DESCRIPTOR(id))) EMIT COMPLETE;
SELECT DISTINCT n FROM (SELECT window.start AS start, count(*) AS n FROM s GROUP BY window(ts, '10 seconds')) EMIT APPEND;
INSERT INTO s VALUES (1, 1, '2026-01-01 00:00:01'), (1, 2, '2026-01-01 00:00:01'), (1, 4, '2026-01-01 00:00:02');
INSERT INTO s VALUES (1, 8, '2026-01-01 00:00:01'), (2, 16, '2026-01-01 00:00:14');
INSERT INTO s VALUES (2, 32, '2026-01-01 00:00:14'), (3, 64, '2026-01-01 00:00:26');

-- Rows without a time are in no window, and do not move the watermark.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS start, count(*) AS n, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT UPDATE;
SELECT window.start AS start, count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '5 seconds') EMIT APPEND;
INSERT INTO s VALUES (1, NULL), (2, '2026-01-01 00:00:03');
INSERT INTO s VALUES (4, NULL), (8, '2026-01-01 00:00:13');

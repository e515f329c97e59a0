-- TIMESTAMP WITH TIME ZONE: windows and watermarks are about instants, whatever the offset that a row was written with.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3) WITH TIME ZONE, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT window.start AS start, window.end AS "end", sum(v) AS total FROM s GROUP BY window(ts, '1 hour') EMIT APPEND;
SELECT ts, v FROM s;
INSERT INTO s VALUES (1, '2026-01-01T00:30:00Z'), (2, '2026-01-01T02:30:00+02:00'), (4, '2025-12-31T19:59:59-05:00');
INSERT INTO s VALUES (8, '2026-01-01T01:00:04.999Z');
INSERT INTO s VALUES (16, '2026-01-01T03:00:05+02:00');

-- Every spelling of an interval says the same.
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start AS s1, count(*) AS n FROM s GROUP BY window(ts, '10 minutes') EMIT UPDATE;
SELECT window.start AS s2, count(*) AS n FROM s GROUP BY window(ts, INTERVAL '10' MINUTE) EMIT UPDATE;
SELECT window.start AS s3, count(*) AS n FROM s GROUP BY window(ts, INTERVAL 10 MINUTES) EMIT UPDATE;
SELECT window.start AS s4, count(*) AS n FROM s GROUP BY window(ts, INTERVAL '10 minutes') EMIT UPDATE;
SELECT window.start AS s5, count(*) AS n FROM s GROUP BY window(ts, '600 seconds') EMIT UPDATE;
INSERT INTO s VALUES ('2026-01-01 00:09:59'), ('2026-01-01 00:10:00');

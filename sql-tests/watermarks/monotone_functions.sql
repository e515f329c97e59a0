-- date_trunc, date_bin, a cast to DATE and a shift of the event time keep its bound.
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT date_trunc('minute', ts) AS minute, count(*) AS n FROM s GROUP BY 1 EMIT APPEND;
SELECT date_bin(INTERVAL '10 seconds', ts) AS bin, count(*) AS n FROM s GROUP BY 1 EMIT APPEND;
SELECT CAST(ts AS DATE) AS day, count(*) AS n FROM s GROUP BY 1 EMIT APPEND;
SELECT ts + INTERVAL '1 hour' AS later, count(*) AS n FROM s GROUP BY 1 EMIT APPEND;
INSERT INTO s VALUES ('2026-01-01 00:00:59'), ('2026-01-01 00:00:30');
INSERT INTO s VALUES ('2026-01-01 00:01:00'), ('2026-01-01 00:00:58');
INSERT INTO s VALUES ('2026-01-01 00:00:59.999'), ('2026-01-02 12:00:00');

-- Without a stateful operator no row is late, and no batch without data is run.
CREATE STREAM s (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT v FROM s WHERE v < 10;
INSERT INTO s VALUES (1, '2026-01-01 01:00:00');
INSERT INTO s VALUES (2, '2026-01-01 00:00:00');

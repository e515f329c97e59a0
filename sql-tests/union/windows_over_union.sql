-- Windows over a union go by the least of its watermarks, whatever the order of the branches.
CREATE STREAM a (ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);
SELECT window.start AS start, count(*) AS n FROM (SELECT ts FROM a UNION ALL SELECT ts FROM b) GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT window.start AS start, count(*) AS n FROM (SELECT ts FROM b UNION ALL SELECT ts FROM a) GROUP BY window(ts, '10 seconds') EMIT APPEND;
BEGIN;
INSERT INTO a VALUES ('2026-01-01 00:00:01'), ('2026-01-01 00:00:21');
INSERT INTO b VALUES ('2026-01-01 00:00:05'), ('2026-01-01 00:00:20');
COMMIT;
INSERT INTO a VALUES ('2026-01-01 00:00:09.999');
INSERT INTO b VALUES ('2026-01-01 00:00:30'), ('2026-01-01 00:00:10');

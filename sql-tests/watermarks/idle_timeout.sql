-- A stream that says nothing for so long no longer holds the others back. Every INSERT takes a second of test time.
CREATE STREAM a (ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM b (ts TIMESTAMP(3), WATERMARK FOR ts) WITH (connector = 'memory', idle_timeout = '2 seconds');
SELECT ts, count(*) AS n FROM (SELECT ts FROM a UNION ALL SELECT ts FROM b) GROUP BY ts EMIT APPEND;
INSERT INTO b VALUES ('2026-01-01 00:00:01');
INSERT INTO a VALUES ('2026-01-01 00:00:10');
INSERT INTO a VALUES ('2026-01-01 00:00:11');
INSERT INTO a VALUES ('2026-01-01 00:00:12');
INSERT INTO a VALUES ('2026-01-01 00:00:13');

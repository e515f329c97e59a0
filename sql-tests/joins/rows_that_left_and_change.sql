-- A row leaves a join once no partner of it can come any more; it may still change, as a window that is open does, and
-- its old version is not there to be taken back. Here each window meets the one after it.
CREATE STREAM a (v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND);
CREATE VIEW w AS SELECT window.start AS s, window.end AS e, min(v) AS low FROM a GROUP BY window(ts, '20 seconds');
SELECT x.e AS at, x.low, y.low AS next FROM w x JOIN w y ON x.e = y.s EMIT CHANGES;
SELECT x.e AS at, x.low, y.low AS next FROM w x FULL JOIN w y ON x.e = y.s EMIT CHANGES;
SELECT y.s AS at, y.low FROM w y LEFT SEMI JOIN w x ON x.e = y.s AND x.low < y.low EMIT CHANGES;
INSERT INTO a VALUES (5, '2026-01-01 00:00:50'), (3, '2026-01-01 00:00:30');
INSERT INTO a VALUES (2, '2026-01-01 00:00:55'), (9, '2026-01-01 00:01:02');
INSERT INTO a VALUES (1, '2026-01-01 00:00:58'), (8, '2026-01-01 00:01:03');
INSERT INTO a VALUES (4, '2026-01-01 00:02:30');

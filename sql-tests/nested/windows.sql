-- Windows below and above: UPDATE and CHANGES follow every change, APPEND gives what is final.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE VIEW per_key AS SELECT window.start AS start, window.end AS "end", k, sum(v) AS total FROM s GROUP BY window(ts, '10 seconds'), k;
SELECT start, "end", count(*) AS keys, max(total) AS most FROM per_key GROUP BY start, "end" EMIT APPEND;
SELECT start, "end", count(*) AS keys, max(total) AS most FROM per_key GROUP BY start, "end" EMIT UPDATE;
SELECT start, "end", count(*) AS keys, max(total) AS most FROM per_key GROUP BY start, "end" EMIT CHANGES;
SELECT total, count(*) AS n FROM per_key GROUP BY total EMIT CHANGES;
SELECT k, avg(total) AS mean, count(*) AS windows FROM per_key GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:03'), (NULL, 3, '2026-01-01 00:00:12');
INSERT INTO s VALUES ('a', 5, '2026-01-01 00:00:09'), ('c', 3, '2026-01-01 00:00:11'), ('b', 2, '2026-01-01 00:00:22');
INSERT INTO s VALUES ('a', 9, '2026-01-01 00:00:02'), ('b', -4, '2026-01-01 00:00:25'), ('d', 0, '2026-01-01 00:00:41');
INSERT INTO s VALUES ('d', 10, '2026-01-01 00:00:59'), ('a', 10, '2026-01-01 00:00:30');

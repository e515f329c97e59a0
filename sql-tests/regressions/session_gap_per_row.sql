-- A gap of its own per row was refused: "a session window has bounds only within GROUP BY".
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE SINK o WITH (connector = 'memory');
INSERT INTO o SELECT k, session_window(ts, CASE WHEN v > 3 THEN INTERVAL '2 seconds' ELSE INTERVAL '5 seconds' END) AS w, count(*) AS n
FROM s GROUP BY session_window(ts, CASE WHEN v > 3 THEN INTERVAL '2 seconds' ELSE INTERVAL '5 seconds' END), k
EMIT APPEND WITH (name = 'q');
INSERT INTO s VALUES ('a', 1, '2020-01-01 00:00:00'), ('a', 5, '2020-01-01 00:00:04'), ('b', 9, '2020-01-01 00:00:01');
INSERT INTO s VALUES ('a', 1, '2020-01-01 00:00:30');
-- ('a', [00:00:00, 00:00:06), 2), ('b', [00:00:01, 00:00:03), 1)
-- sort: rows
SELECT * FROM o;

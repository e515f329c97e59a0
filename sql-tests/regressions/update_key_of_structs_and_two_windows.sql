-- One field of a grouped struct, or the start of another window, was taken for the key: rows replaced each other.
CREATE STREAM s (a BIGINT, b BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE SINK o WITH (connector = 'memory');
-- error: UPDATE mode needs the key of the result in the SELECT list
INSERT INTO o SELECT p['a'] AS a, count(*) AS n FROM (SELECT named_struct('a', a, 'b', b) AS p FROM s) GROUP BY p EMIT UPDATE;
-- error: UPDATE mode needs the key of the result in the SELECT list
INSERT INTO o SELECT hour, count(*) AS n FROM (
  SELECT get_field(window(ts, '10 minutes'), 'end') AS ten, date_trunc('hour', ts) AS hour FROM s
) GROUP BY ten, hour EMIT UPDATE;
-- error: UPDATE mode needs the key of the result in the SELECT list
INSERT INTO o SELECT window_start, count(*) AS n
FROM CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '5' MINUTE, INTERVAL '10' MINUTE) GROUP BY window_start, window_end EMIT UPDATE;
INSERT INTO o SELECT window.start AS start, count(*) AS n FROM s GROUP BY window(ts, '10 minutes') EMIT UPDATE WITH (name = 'q');
INSERT INTO s VALUES (1, 1, '2020-01-01 00:00:00'), (1, 2, '2020-01-01 00:11:00'), (2, 1, '2020-01-01 00:01:00');
INSERT INTO s VALUES (3, 1, '2020-01-01 00:12:00');
-- (00:00, 2), (00:10, 2)
-- sort: rows
SELECT * FROM o;

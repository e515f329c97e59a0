-- Windows before 1970 are aligned to the epoch as those after it.
CREATE STREAM s (x BIGINT, ts TIMESTAMP(6), WATERMARK FOR ts);
SELECT window.start AS start, window.end AS "end", sum(x) AS total FROM s GROUP BY window(ts, '10 seconds') EMIT UPDATE;
SELECT window.start AS start, count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '4 seconds') EMIT APPEND;
INSERT INTO s VALUES (1, '1969-12-31 23:59:49.999999'), (2, '1969-12-31 23:59:50'), (4, '1969-12-31 23:59:59.999999');
INSERT INTO s VALUES (8, '1970-01-01 00:00:00'), (16, '1969-12-31 23:59:55');
INSERT INTO s VALUES (32, '1970-01-01 00:00:30');

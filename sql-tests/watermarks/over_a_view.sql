-- A watermark over a view, and over a subquery with a computed time.
CREATE STREAM s (v BIGINT, millis BIGINT);
CREATE VIEW timed AS SELECT v, to_timestamp_millis(millis) AS ts FROM s WHERE v > 0;
SELECT window.start AS start, sum(v) AS total FROM timed WATERMARK ts DELAY OF INTERVAL 2 SECONDS
GROUP BY window(ts, '10 seconds') EMIT APPEND;
SELECT window.start AS start, sum(v) AS total
FROM (SELECT v, to_timestamp_millis(millis) AS at FROM s) AS x WATERMARK at DELAY OF INTERVAL 2 SECONDS
GROUP BY window(at, '10 seconds') EMIT APPEND;
INSERT INTO s VALUES (1, 1000), (2, 9000);
-- This row moves the watermark of the second query alone: the filter is below the first one's.
INSERT INTO s VALUES (-4, 12000);
INSERT INTO s VALUES (8, 12000), (16, 9999);

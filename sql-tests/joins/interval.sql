-- Times near each other: rows leave by watermark, and in APPEND those without a partner come when they are final.
CREATE STREAM clicks (ad BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5 seconds');
CREATE STREAM views (ad BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5 seconds');
SELECT v.ad, v.at AS viewed, c.at AS clicked FROM views v JOIN clicks c
  ON v.ad = c.ad AND c.at BETWEEN v.at AND v.at + INTERVAL '10 seconds' EMIT APPEND;
SELECT v.ad, v.at AS viewed, c.at AS clicked FROM views v LEFT JOIN clicks c
  ON v.ad = c.ad AND c.at >= v.at AND c.at <= v.at + INTERVAL '10 seconds' EMIT APPEND;
INSERT INTO views VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:01'), (NULL, '2026-01-01 00:00:02');
INSERT INTO clicks VALUES (1, '2026-01-01 00:00:04'), (1, '2026-01-01 00:00:12');
INSERT INTO views VALUES (3, '2026-01-01 00:00:20');
INSERT INTO clicks VALUES (3, '2026-01-01 00:00:21'), (2, '2026-01-01 00:00:09');
INSERT INTO views VALUES (4, '2026-01-01 00:01:00');
INSERT INTO clicks VALUES (4, '2026-01-01 00:01:30'), (2, '2026-01-01 00:00:01');

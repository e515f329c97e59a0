CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
-- error: month
SELECT count(*) AS n FROM s GROUP BY window(ts, '1 month');
-- error: slide
SELECT count(*) AS n FROM s GROUP BY window(ts, '5 seconds', '10 seconds');
-- error: size
SELECT count(*) AS n FROM s GROUP BY window(ts, '0 seconds');
-- error: event time is not a timestamp
SELECT count(*) AS n FROM s GROUP BY window(k, '5 seconds');
-- error: one GROUP BY
SELECT count(*) AS n FROM s GROUP BY window(ts, '5 seconds'), window(ts, '10 seconds');
-- error: tz
SELECT * FROM TUMBLE(TABLE s, DESCRIPTOR(tz), INTERVAL '5' SECOND);

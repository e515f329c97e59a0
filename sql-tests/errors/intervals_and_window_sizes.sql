-- Intervals that are none, and windows of impossible sizes.
CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
-- error: window size is not positive: 0 seconds
SELECT count(*) AS n FROM s GROUP BY window(ts, '0 seconds');
-- error: window size is not positive: -1 second
SELECT count(*) AS n FROM s GROUP BY window(ts, '-1 seconds');
-- error: window slide is not positive: 0 seconds
SELECT count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '0 seconds');
-- error: window slide is too long for the window size
SELECT count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '11 seconds');
-- error: window offset is too long for the window slide: 7 seconds
SELECT count(*) AS n FROM s GROUP BY window(ts, '10 seconds', '5 seconds', '7 seconds');
-- error: not an interval: `abc`
SELECT count(*) AS n FROM s GROUP BY window(ts, 'abc');
-- error: window size is not an interval: `10` of type `Int64`
SELECT count(*) AS n FROM s GROUP BY window(ts, 10);
-- error: months and years have no fixed length
SELECT count(*) AS n FROM s GROUP BY window(ts, '1 year');
-- error: wrong number of arguments; write window(ts, size [, slide [, start]])
SELECT count(*) AS n FROM s GROUP BY window(ts);
-- error: window size is not a multiple of its step
SELECT * FROM CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '3' SECOND, INTERVAL '10' SECOND);
-- error: window slide is too long
SELECT * FROM HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '5' SECOND);
-- error: session gap is not positive: 0 seconds
SELECT count(*) AS n FROM s GROUP BY session_window(ts, '0 seconds');
-- error: session gap is not positive: -5 seconds
SELECT count(*) AS n FROM s GROUP BY session_window(ts, '-5 seconds');
-- error: `PARSEC`
SELECT count(*) AS n FROM s GROUP BY window(ts, INTERVAL 10 PARSEC);

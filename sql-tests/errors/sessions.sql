CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
-- error: a session window has bounds only within GROUP BY
SELECT session_window(ts, '5 seconds') AS w FROM s;
-- error: a session window has bounds only within GROUP BY
SELECT * FROM SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND);

-- A time that no calendar has ended the run without a word.
CREATE STREAM s (ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE SINK o WITH (connector = 'memory');
INSERT INTO o SELECT ts FROM s EMIT APPEND WITH (name = 'q');
-- in JSON: 9223372036854775807
INSERT INTO s VALUES (arrow_cast(9223372036854775807, 'Timestamp(Millisecond, None)'));
INSERT INTO s VALUES (arrow_cast(-9223372036854775808, 'Timestamp(Millisecond, None)'));
SELECT * FROM o;

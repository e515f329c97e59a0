-- AVAILABLE NOW over a bounded rate by batches took one batch of it.
CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '10', num_rows = '35');
CREATE SINK o WITH (connector = 'memory');
INSERT INTO o SELECT count(*) AS n FROM r EMIT COMPLETE TRIGGER AVAILABLE NOW WITH (name = 'q');
-- 35
SELECT * FROM o;

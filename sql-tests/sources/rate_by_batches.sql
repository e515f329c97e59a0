-- rate, paced by batches: nothing depends on the clock.
CREATE STREAM r WITH (connector = 'rate', rows_per_batch = 3, advance_per_batch = '10 seconds', num_rows = 8);
DESCRIBE r;
SELECT timestamp, value FROM r;
SELECT window.start AS start, count(*) AS n, sum(value) AS total FROM r GROUP BY window(timestamp, '20 seconds') EMIT COMPLETE;

-- rate, paced by the clock: two rows with every second of test time.
CREATE STREAM r (timestamp TIMESTAMP(3), value BIGINT) WITH (connector = 'rate', rows_per_second = 2);
CREATE STREAM tick (x BIGINT);
SELECT timestamp, value FROM r;
INSERT INTO tick VALUES (1);
INSERT INTO tick VALUES (2);

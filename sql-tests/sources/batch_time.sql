-- now(), current_timestamp and PROCTIME() are the batch's time: one value for all rows of a batch.
CREATE STREAM s (v BIGINT, proc AS PROCTIME());
-- oracle: off the batch's time is not that of a batch query
SELECT v, proc, now() = current_timestamp AS same, now() = proc AS proc_too FROM s;
INSERT INTO s VALUES (1), (2);
INSERT INTO s VALUES (3);

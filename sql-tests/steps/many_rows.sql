-- Ten thousand rows of generate_series in one step.
CREATE STREAM s (v BIGINT, k BIGINT);
SELECT k, count(*) AS n, sum(v) AS total, min(v) AS low, max(v) AS high FROM s GROUP BY k;
SELECT count(*) AS n, count(DISTINCT k) AS d, avg(v) AS mean FROM s EMIT COMPLETE;
-- oracle: off ten thousand rows, one by one, are too many for it
SELECT v FROM s WHERE v % 2500 = 0;
INSERT INTO s SELECT value, value % 4 FROM generate_series(1, 10000);

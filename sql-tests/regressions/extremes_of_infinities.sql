-- The least of infinities is infinity, with GROUP BY too, and NaN is above it.
CREATE STREAM s (k BIGINT, f DOUBLE);
SELECT k, min(f) AS low, max(f) AS high FROM s GROUP BY k EMIT UPDATE;
SELECT k, min(f) FILTER (WHERE k > 1) AS low FROM s GROUP BY k EMIT UPDATE;
-- Above the first aggregate of a whole result DataFusion's own functions run.
SELECT min(low) AS low, max(high) AS high, k % 2 AS odd FROM (SELECT k, min(f) AS low, max(f) AS high FROM s GROUP BY k) GROUP BY k % 2 EMIT COMPLETE;
INSERT INTO s VALUES (1, CAST('Infinity' AS DOUBLE)), (2, CAST('NaN' AS DOUBLE)), (3, CAST('Infinity' AS DOUBLE)), (4, CAST('-Infinity' AS DOUBLE));
INSERT INTO s VALUES (1, CAST('NaN' AS DOUBLE)), (2, CAST('Infinity' AS DOUBLE)), (4, NULL);
INSERT INTO s VALUES (1, CAST('-0.0' AS DOUBLE)), (2, -1.5), (4, CAST('Infinity' AS DOUBLE));

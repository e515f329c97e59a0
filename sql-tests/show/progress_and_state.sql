-- The progress of recent batches and the live state of operators are tables.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE MATERIALIZED VIEW q AS SELECT k, sum(v) AS total FROM s GROUP BY k;
INSERT INTO s VALUES ('a', 1, '2026-01-01 00:00:01'), ('b', 2, '2026-01-01 00:00:02');
INSERT INTO s VALUES ('a', 3, '2026-01-01 00:00:03');
SELECT batch, watermark, next_watermark, input_rows, output_rows, late_rows, state_rows FROM progress('q') ORDER BY batch;
SELECT operator, "table", count(*) AS rows FROM state('q') GROUP BY operator, "table";

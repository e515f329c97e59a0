-- A blackhole takes everything; its query makes progress.
CREATE STREAM s (v BIGINT);
CREATE SINK nothing WITH (connector = 'blackhole');
INSERT INTO nothing SELECT v FROM s WITH (name = 'q');
INSERT INTO s VALUES (1), (2);
SELECT batch, input_rows, output_rows, late_rows FROM progress('q') ORDER BY batch;

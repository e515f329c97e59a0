-- The refusal named a column `__grouping_id` that nobody can select.
CREATE STREAM s (k VARCHAR, g VARCHAR);
CREATE SINK o WITH (connector = 'memory');
-- error: a NULL may be a value or a subtotal
INSERT INTO o SELECT k, g, count(*) AS n FROM s GROUP BY ROLLUP(k, g) EMIT UPDATE WITH (name = 'q');

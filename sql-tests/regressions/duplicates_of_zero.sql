-- 0.0 and -0.0 were two keys of drop_duplicates, and are one of GROUP BY and DISTINCT.
CREATE STREAM s (x DOUBLE, n BIGINT);
CREATE SINK o WITH (connector = 'memory');
-- oracle: off which row is the first depends on the split
INSERT INTO o SELECT x, n FROM drop_duplicates(TABLE s, DESCRIPTOR(x)) EMIT APPEND WITH (name = 'q');
INSERT INTO s VALUES (0.0, 1), (-0.0, 2), (NULL, 3);
INSERT INTO s VALUES (CAST('-0.0' AS DOUBLE), 4), (NULL, 5);
-- (0.0, 1), (NULL, 3)
-- sort: rows
SELECT * FROM o;

-- min, max and DISTINCT over rows that are taken back: what was hidden behind an end comes forward again.
CREATE STREAM s (g VARCHAR, k BIGINT, v BIGINT, w VARCHAR);
CREATE VIEW last AS SELECT g, k, sum(v) AS v, max(w) AS w FROM s GROUP BY g, k;
SELECT g, min(v) AS low, max(v) AS high, min(w) AS first, max(w) AS last FROM last GROUP BY g EMIT CHANGES;
SELECT g, max(v) FILTER (WHERE v < 10) AS small, bool_and(v > 0) AS positive, bool_or(v > 20) AS large FROM last GROUP BY g EMIT UPDATE;
SELECT g, count(DISTINCT v) AS n, sum(DISTINCT v) AS total, count(DISTINCT w) FILTER (WHERE v > 0) AS words FROM last GROUP BY g EMIT CHANGES;
SELECT max(v) AS high, count(DISTINCT g) AS groups FROM last EMIT UPDATE;
SELECT stddev_pop(v) AS deviation, var_samp(v) AS variance, corr(v, k) AS c FROM last EMIT CHANGES;
INSERT INTO s VALUES ('x', 1, 5, 'm'), ('x', 2, 9, 'b'), ('y', 1, 5, NULL), (NULL, 7, NULL, 'z');
INSERT INTO s VALUES ('x', 2, -8, 'a'), ('y', 2, 5, 'q'), (NULL, 7, 30, 'y');
INSERT INTO s VALUES ('x', 1, 20, 'n'), ('y', 1, -5, 'q'), (NULL, 7, -40, 'zz');
INSERT INTO s VALUES ('x', 2, 24, 'c'), ('y', 2, -5, 'r'), ('y', 3, 9223372036854775807, '');

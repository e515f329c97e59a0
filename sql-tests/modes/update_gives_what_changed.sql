-- UPDATE gives rows whose value changed, not every row that was touched.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, max(v) AS top FROM s GROUP BY k EMIT UPDATE;
SELECT count(*) AS n, sum(v) AS total FROM s EMIT UPDATE;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3);
INSERT INTO s VALUES ('a', 2), ('b', 5);
INSERT INTO s VALUES ('a', 3);

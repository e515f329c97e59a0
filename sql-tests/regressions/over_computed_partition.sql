-- A window over a computed partition that already has another name, as the optimizer gives it.
CREATE STREAM s (k VARCHAR, v BIGINT, f DOUBLE);
SELECT rank() OVER (PARTITION BY coalesce(f, f)) AS r FROM s EMIT CHANGES;
SELECT sum(c1) OVER (PARTITION BY upper(c0)) AS t FROM (SELECT k AS c0, v AS c1 FROM s) EMIT CHANGES;
SELECT sum(c1) OVER (PARTITION BY (c4 * 2)) FROM (SELECT v AS c1, dense_rank() OVER () AS c4 FROM s) EMIT CHANGES;
INSERT INTO s VALUES ('a', 1, 0.5), ('A', 2, NULL), (NULL, 3, 0.5);
INSERT INTO s VALUES ('b', 4, NULL);

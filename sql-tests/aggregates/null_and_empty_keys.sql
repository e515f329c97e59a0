-- NULL is one group, '' another; so it is with several keys, structs and lists.
CREATE STREAM s (k VARCHAR, l VARCHAR, v BIGINT);
SELECT k, count(*) AS n, count(l) AS l, sum(v) AS total FROM s GROUP BY k EMIT UPDATE;
SELECT k, l, count(*) AS n FROM s GROUP BY k, l EMIT COMPLETE;
SELECT named_struct('k', k, 'l', l) AS pair, count(*) AS n FROM s GROUP BY named_struct('k', k, 'l', l) EMIT UPDATE;
SELECT make_array(k, l) AS list, count(*) AS n FROM s GROUP BY make_array(k, l) EMIT CHANGES;
INSERT INTO s VALUES (NULL, NULL, NULL), ('', NULL, 1), (NULL, '', 2), ('', '', 4);
INSERT INTO s VALUES (NULL, NULL, 8), ('', NULL, NULL), (' ', '', 16);

-- UNNEST over rows that change: each of a row's elements comes and goes with it.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE STREAM tags (k VARCHAR, words VARCHAR[], op VARCHAR) WITH (op_column = 'op');
SELECT k, unnest(make_array(n, n + 10)) AS u FROM (SELECT k, count(*) AS n FROM s GROUP BY k) EMIT CHANGES;
SELECT k, unnest(words) AS word FROM tags EMIT CHANGES;
SELECT word, v FROM s JOIN (SELECT k, unnest(words) AS word FROM tags) t ON s.k = t.k EMIT CHANGES;
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO tags VALUES ('a', ['x', 'y'], '+I'), ('b', [], '+I'), ('c', NULL, '+I');
INSERT INTO s VALUES ('a', 3);
INSERT INTO tags VALUES ('a', ['x', 'y'], '-U'), ('a', ['y', 'z', 'z'], '+U'), ('c', NULL, '-D');

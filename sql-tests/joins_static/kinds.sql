-- Every kind of join with a static table on either side: those of Spark's guide, and those that it refuses.
CREATE STREAM s (id BIGINT, v BIGINT);
CREATE TABLE t AS SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'one'), (2, 'two'), (NULL, 'none'));
SELECT s.v, t.name FROM t JOIN s ON s.id = t.id WITH (name = 'inner_join');
SELECT s.v, t.name FROM s LEFT JOIN t ON s.id = t.id AND s.v > 1 WITH (name = 'left_join');
SELECT s.v, t.name FROM t RIGHT JOIN s USING (id) WITH (name = 'right_join');
SELECT s.v FROM s LEFT SEMI JOIN t ON s.id = t.id WITH (name = 'semi');
SELECT s.v FROM s LEFT ANTI JOIN t ON s.id = t.id WITH (name = 'anti');
SELECT s.v, t.name FROM s JOIN t ON s.id IS NOT DISTINCT FROM t.id WITH (name = 'null_safe');
SELECT s.v, t.name FROM s JOIN t ON s.id < t.id WITH (name = 'theta');
SELECT v, name FROM s NATURAL JOIN t WITH (name = 'natural');
SELECT s.v, t.name FROM s RIGHT JOIN t ON s.id = t.id EMIT CHANGES WITH (name = 'right_kept');
SELECT s.v, t.name FROM s FULL JOIN t ON s.id = t.id EMIT CHANGES WITH (name = 'both_kept');
SELECT t.name FROM t LEFT SEMI JOIN s ON s.id = t.id WITH (name = 'static_semi');
SELECT t.name FROM t LEFT ANTI JOIN s ON s.id = t.id EMIT CHANGES WITH (name = 'static_anti');
INSERT INTO s VALUES (1, 1), (2, 2), (3, 3), (NULL, 4);
INSERT INTO s VALUES (1, 5), (1, 6);

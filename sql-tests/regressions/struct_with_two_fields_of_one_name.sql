-- JSON showed only one of two fields with the same name.
CREATE STREAM s (k VARCHAR, v BIGINT);
-- error: a struct has two fields of one name; name them apart: column=`pair` field=`a`
SELECT named_struct('a', k, 'a', v) AS pair FROM s;
-- error: a struct has two fields of one name
SELECT make_array(named_struct('n', 1, 'in', named_struct('a', 1, 'a', 2))) AS nested;
SELECT named_struct('a', k, 'A', v) AS pair FROM s;
INSERT INTO s VALUES ('x', 1);

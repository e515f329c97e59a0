-- Structs, lists and what takes them apart.
CREATE STREAM s (id BIGINT, tags VARCHAR);
SELECT id, string_to_array(tags, ',') AS list, named_struct('n', id, 't', tags) AS pair FROM s;
SELECT id, unnest(string_to_array(tags, ',')) AS tag FROM s;
INSERT INTO s VALUES (1, 'a,b'), (2, NULL), (3, 'c');

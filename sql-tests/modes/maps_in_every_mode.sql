-- MAP columns in every mode, as group keys and within structs and lists.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, MAP {'total': sum(v)} AS m FROM s GROUP BY k EMIT CHANGES;
SELECT k, MAP {'total': sum(v)} AS m FROM s GROUP BY k HAVING count(*) > 1 EMIT UPDATE;
SELECT k, MAP {'total': sum(v)} AS m FROM s GROUP BY k EMIT COMPLETE;
SELECT MAP {'k': k} AS m, count(*) AS n FROM s GROUP BY MAP {'k': k} EMIT CHANGES;
SELECT DISTINCT MAP {'k': k} AS m FROM s;
SELECT named_struct('m', MAP {1: v}) AS in_struct, make_array(MAP {'a': v}) AS in_list FROM s;
INSERT INTO s VALUES ('a', 1), ('b', 2);
INSERT INTO s VALUES ('a', 4), (NULL, NULL);

-- array_agg and string_agg, with an order of their own.
CREATE STREAM s (k VARCHAR, t VARCHAR, v BIGINT);
SELECT k, array_agg(t ORDER BY v) AS list FROM s GROUP BY k EMIT COMPLETE;
SELECT k, string_agg(t, ',' ORDER BY v DESC) AS text FROM s GROUP BY k EMIT COMPLETE;
SELECT k, first_value(t ORDER BY v) AS first, last_value(t ORDER BY v) AS last FROM s GROUP BY k EMIT COMPLETE;
INSERT INTO s VALUES ('a', 'x', 3), ('a', 'y', 1), ('b', 'z', 2);
INSERT INTO s VALUES ('a', 'w', 2), ('b', NULL, 1);

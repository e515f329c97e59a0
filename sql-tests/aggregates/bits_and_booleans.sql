-- bit_and, bit_or, bit_xor, bool_and, bool_or.
CREATE STREAM s (k VARCHAR, v BIGINT, b BOOLEAN);
SELECT k, bit_and(v) AS band, bit_or(v) AS bor, bit_xor(v) AS bxor, bool_and(b) AS every, bool_or(b) AS some
FROM s GROUP BY k EMIT UPDATE;
INSERT INTO s VALUES ('a', 7, true), ('a', 5, true), ('b', NULL, NULL);
INSERT INTO s VALUES ('a', 4, false), ('b', 1, false);
INSERT INTO s VALUES ('a', 4, NULL);

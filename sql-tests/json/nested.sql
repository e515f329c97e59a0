-- Structs and maps are objects, lists arrays, binary hexadecimal; names may need quotes.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT named_struct('a "b"', k, 'in', named_struct('v', v, 'none', NULL)) AS "st""ruct",
  make_array(v, NULL, v + 1) AS list, make_array(make_array(k), make_array()) AS deep,
  MAP {'k': k, 'l': NULL} AS m, MAP {v: k} AS by_number,
  CAST(k AS BYTEA) AS bin, v > 1 AS yes, NULL AS nothing FROM s;
INSERT INTO s VALUES ('ä"\', 1), (NULL, 0), ('', 2);

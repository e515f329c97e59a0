-- A column given twice was taken, and the columns of an INSERT without rows were not looked at.
CREATE STREAM s (k VARCHAR, v BIGINT, w AS v + 1);
-- error: column given twice: `k` of stream `s`
INSERT INTO s (k, k) VALUES ('a', 'b');
-- error: unknown column of stream `s`: `vv`; did you mean `v`?
INSERT INTO s (vv) SELECT 1 WHERE 1 = 0;
-- error: stream `s` takes 2 columns and 1 are given
INSERT INTO s SELECT 'a' WHERE 1 = 0;
-- error: column is computed and cannot be inserted: `w`
INSERT INTO s (w) VALUES (1);
INSERT INTO s SELECT 'a', 1 WHERE 1 = 0;

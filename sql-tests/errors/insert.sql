CREATE STREAM s (a INT NOT NULL, b VARCHAR);
CREATE STREAM r WITH (connector = 'rate', rows_per_batch = 1, num_rows = 1);
CREATE TABLE t (x INT);
-- error: column is NOT NULL: `a`
INSERT INTO s (b) VALUES ('x');
-- error: takes 2 columns and 3 are given
INSERT INTO s VALUES (1, 'x', 2);
-- error: did you mean `b`?
INSERT INTO s (a, bb) VALUES (1, 'x');
-- error: column `a` of stream `s`
INSERT INTO s VALUES ('one', 'x');
-- error: rows of stream `r` come from its connector
INSERT INTO r VALUES (1, 2);
-- error: a continuous query cannot write into a static table
INSERT INTO t SELECT a FROM s;
-- error: a continuous query cannot write into a stream
INSERT INTO s SELECT a, b FROM s;
-- error: unknown sink, stream or table
INSERT INTO nowhere VALUES (1);
-- error: rows of a stream cannot be overwritten
INSERT OVERWRITE s VALUES (1, 'x');
-- error: COMMIT without BEGIN
COMMIT;
-- error: ROLLBACK without BEGIN
ROLLBACK;
BEGIN;
-- error: BEGIN within BEGIN
BEGIN;
ROLLBACK;

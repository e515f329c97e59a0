-- Rows of an INSERT that do not fit their stream; none of them is taken.
CREATE STREAM s (a SMALLINT NOT NULL, ts TIMESTAMP(3), d DECIMAL(4, 2));
SELECT * FROM s;
-- error: column `a` of stream `s`
INSERT INTO s VALUES (1, NULL, NULL), (40000, NULL, NULL);
-- error: column `ts` of stream `s`
INSERT INTO s VALUES (1, 'soon', NULL);
-- error: column `d` of stream `s`
INSERT INTO s VALUES (1, NULL, '100.00');
-- error: column is NOT NULL: `a`
INSERT INTO s VALUES (NULL, NULL, NULL);
-- error: inconsistent data length
INSERT INTO s VALUES (1, NULL, NULL), (2, NULL);
BEGIN;
INSERT INTO s VALUES (1, NULL, 1);
-- error: column `a` of stream `s`
INSERT INTO s VALUES ('one', NULL, NULL);
COMMIT;
INSERT INTO s VALUES (2, '2026-01-01', 99.99);

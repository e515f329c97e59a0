-- A query that fails is told once, and the others go on, also in the step in which it fails.
CREATE STREAM s (v VARCHAR);
SELECT CAST(v AS BIGINT) AS n FROM s WITH (name = 'fails');
SELECT v FROM s WITH (name = 'goes_on');
INSERT INTO s VALUES ('1');
-- error: x1
INSERT INTO s VALUES ('x1');
INSERT INTO s VALUES ('2');

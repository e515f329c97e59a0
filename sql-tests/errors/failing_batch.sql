-- A query that fails says so; its rows were handed over all the same.
CREATE STREAM s (v VARCHAR);
SELECT CAST(v AS BIGINT) AS n FROM s WITH (name = 'q');
INSERT INTO s VALUES ('1');
-- error: x1
INSERT INTO s VALUES ('x1');
-- error: x1
STOP QUERY q;
INSERT INTO s VALUES ('2');

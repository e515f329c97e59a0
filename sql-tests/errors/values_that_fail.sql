-- What only a row can show fails its batch, with the kind `data`; TRY_CAST and floats have a value for it.
CREATE STREAM a (v BIGINT);
SELECT 10 / v AS q FROM a WITH (name = 'zero');
INSERT INTO a VALUES (1);
-- error: divide by zero
INSERT INTO a VALUES (0);
-- error: divide by zero
STOP QUERY zero;
CREATE STREAM b (k VARCHAR);
SELECT CAST(k AS TIMESTAMP) AS t FROM b WITH (name = 'time');
-- error: parsing timestamp from 'x'
INSERT INTO b VALUES ('x');
-- error: parsing timestamp from 'x'
STOP QUERY time;
CREATE STREAM c (v BIGINT);
SELECT CAST(v AS SMALLINT) AS n FROM c WITH (name = 'narrow');
-- error: 100000
INSERT INTO c VALUES (100000);
-- error: 100000
STOP QUERY narrow;
CREATE STREAM d (v BIGINT, k VARCHAR);
SELECT TRY_CAST(k AS INT) AS n, 10.0 / v AS f FROM d WITH (name = 'fine');
INSERT INTO d VALUES (0, 'x'), (4, '5');

-- oracle: off the query fails, and that is what is shown
-- A key that does not tell rows apart ends the query where it shows.
CREATE STREAM cities (name VARCHAR, op VARCHAR) WITH (op_column = 'op');
CREATE TABLE tours AS VALUES (1), (2);
SELECT name, column1 AS tour FROM cities, tours EMIT UPDATE WITH (key = 'name');
-- error: two rows of the result have one key, and UPDATE keeps one row of each: name=Bonn; declare a key that tells them apart, or use EMIT CHANGES
INSERT INTO cities VALUES ('Bonn', '+I');

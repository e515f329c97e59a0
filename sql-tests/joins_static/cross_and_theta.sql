-- Joins without an equality.
CREATE TABLE bands AS SELECT column1 AS low, column2 AS high, column3 AS name FROM (VALUES (0, 9, 'small'), (10, 99, 'big'), (5, 50, 'middle'));
CREATE STREAM bids (price BIGINT);
SELECT price, name FROM bids JOIN bands ON price BETWEEN low AND high;
SELECT price, name FROM bids CROSS JOIN bands;
SELECT price, name FROM bids LEFT JOIN bands ON price < low;
INSERT INTO bids VALUES (7), (200);
INSERT INTO bids VALUES (NULL), (10);

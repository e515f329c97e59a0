-- A stream joined with a table: rows come as the stream's do. NULL keys match nothing.
CREATE TABLE people (id BIGINT, name VARCHAR) AS VALUES (1, 'Ann'), (2, 'Bob'), (2, 'Bea'), (NULL, 'Nobody');
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT price, name FROM bids JOIN people ON bidder = id;
SELECT price, name FROM people, bids WHERE bidder = id AND price > 1;
INSERT INTO bids VALUES (1, 10), (2, 20), (3, 30), (NULL, 40);
INSERT INTO bids VALUES (1, 1);

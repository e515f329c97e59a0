-- The result of an aggregate joined with a table: changes pass through.
CREATE TABLE people AS SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'Ann'), (2, 'Bob'));
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT name, total FROM (SELECT bidder, sum(price) AS total FROM bids GROUP BY bidder) JOIN people ON bidder = id EMIT CHANGES;
SELECT name, total FROM (SELECT bidder, sum(price) AS total FROM bids GROUP BY bidder) JOIN people ON bidder = id EMIT COMPLETE;
INSERT INTO bids VALUES (1, 10), (3, 30);
INSERT INTO bids VALUES (1, 5), (2, 20), (3, 1);

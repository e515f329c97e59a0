-- A static table whose rows are kept without a partner: they come in the first batch.
CREATE TABLE people AS SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'Ann'), (2, 'Bob'), (NULL, 'Eve'));
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT name, price FROM people LEFT JOIN bids ON id = bidder EMIT CHANGES;
SELECT name FROM people WHERE NOT EXISTS (SELECT 1 FROM bids WHERE bidder = id) EMIT CHANGES;
SELECT name, price FROM people FULL JOIN bids ON id = bidder EMIT CHANGES;
INSERT INTO bids VALUES (1, 10), (3, 30);
INSERT INTO bids VALUES (1, 5), (2, 20), (3, 1);

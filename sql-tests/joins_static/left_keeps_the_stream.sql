-- The stream's rows are kept: NULLs at once where there is no partner.
CREATE TABLE people AS SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'Ann'), (2, 'Bob'));
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT price, name FROM bids LEFT JOIN people ON bidder = id;
SELECT price, name FROM people RIGHT JOIN bids ON bidder = id;
INSERT INTO bids VALUES (1, 10), (3, 30), (NULL, 40);
INSERT INTO bids VALUES (2, 20);

-- NOT IN over a table with a NULL is never true.
CREATE TABLE vip AS SELECT column1 AS id FROM (VALUES (1), (NULL));
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT bidder, price FROM bids WHERE bidder NOT IN (SELECT id FROM vip);
INSERT INTO bids VALUES (1, 10), (3, 30), (NULL, 40);

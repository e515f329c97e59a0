-- Joins of inputs that change: an aggregate with an aggregate, and with a stream.
CREATE STREAM bids (auction BIGINT, price BIGINT);
SELECT a.auction, a.n, b.top FROM (SELECT auction, count(*) AS n FROM bids GROUP BY auction) a
JOIN (SELECT auction, max(price) AS top FROM bids GROUP BY auction) b ON a.auction = b.auction EMIT UPDATE;
SELECT b.auction, b.price, m.top FROM bids b JOIN (SELECT auction, max(price) AS top FROM bids GROUP BY auction) m
ON b.auction = m.auction AND b.price = m.top EMIT CHANGES;
SELECT auction, price FROM bids WHERE price > (SELECT avg(price) FROM bids) EMIT CHANGES;
SELECT b.auction, price, n FROM bids b LEFT JOIN (SELECT auction, count(*) AS n FROM bids GROUP BY auction HAVING count(*) > 1) c
ON b.auction = c.auction EMIT CHANGES;
INSERT INTO bids VALUES (1, 10), (2, 20), (NULL, 7);
INSERT INTO bids VALUES (1, 30), (1, 30), (3, 5);
INSERT INTO bids VALUES (2, 1);

-- IN, EXISTS and their negations over a table.
CREATE TABLE vip AS SELECT column1 AS id FROM (VALUES (1), (2), (2));
CREATE STREAM bids (bidder BIGINT, price BIGINT);
SELECT 'in' AS q, bidder, price FROM bids WHERE bidder IN (SELECT id FROM vip);
SELECT 'not in' AS q, bidder, price FROM bids WHERE bidder NOT IN (SELECT id FROM vip);
SELECT 'exists' AS q, bidder, price FROM bids WHERE EXISTS (SELECT 1 FROM vip WHERE vip.id = bids.bidder);
SELECT 'not exists' AS q, bidder, price FROM bids WHERE NOT EXISTS (SELECT 1 FROM vip WHERE vip.id = bids.bidder);
SELECT 'semi' AS q, bidder, price FROM bids LEFT SEMI JOIN vip ON bidder = id;
SELECT 'anti' AS q, bidder, price FROM bids LEFT ANTI JOIN vip ON bidder = id;
INSERT INTO bids VALUES (1, 10), (3, 30), (NULL, 40);
INSERT INTO bids VALUES (2, 20), (3, 31);

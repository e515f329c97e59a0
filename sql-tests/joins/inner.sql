-- Two streams joined on a key with NULLs and duplicates; every pair comes once, in whichever batch its second row comes.
CREATE STREAM bids (auction BIGINT, price BIGINT);
CREATE STREAM auctions (id BIGINT, item VARCHAR);
SELECT auction, item, price FROM bids JOIN auctions ON auction = id;
SELECT b.auction, a.item, b.price FROM bids b JOIN auctions a ON b.auction = a.id AND b.price >= 20;
SELECT x.price AS low, y.price AS high FROM bids x JOIN bids y ON x.auction = y.auction AND x.price < y.price;
INSERT INTO bids VALUES (1, 10), (2, 20), (NULL, 30);
INSERT INTO auctions VALUES (1, 'book'), (3, 'chair'), (NULL, 'none');
INSERT INTO bids VALUES (1, 10), (3, 5), (1, 40);
INSERT INTO auctions VALUES (1, 'box'), (2, 'lamp');

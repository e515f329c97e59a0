-- Names without quotes are lower case; quoted ones are as they are.
CREATE STREAM Bids (Auction BIGINT, "Price" BIGINT, "a b" VARCHAR);
SELECT AUCTION, "Price", "a b" AS "A ""quoted"" name" FROM BIDS;
SELECT b.auction FROM bids AS b WHERE b."Price" > 10;
-- error: Did you mean 'bids."Price"'?
SELECT price FROM bids;
-- error: Bids
SELECT * FROM "Bids";
INSERT INTO BIDS ("Price", auction, "a b") VALUES (10, 1, 'x'), (20, 2, 'it''s');
INSERT INTO "bids" VALUES (3, 30, NULL);

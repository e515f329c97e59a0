-- A SELECT over a stream is a continuous query: it prints what each micro-batch gives.
CREATE STREAM bids (auction BIGINT, price BIGINT, channel VARCHAR);
SELECT auction, price * 2 AS double_price, upper(channel) AS channel FROM bids WHERE price > 10;
INSERT INTO bids VALUES (1, 5, 'a'), (2, 20, 'b');
INSERT INTO bids VALUES (3, 30, NULL), (NULL, NULL, 'c');
INSERT INTO bids VALUES (4, 1, 'd');

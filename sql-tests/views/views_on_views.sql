-- A materialized view inside a continuous query stands for the query that keeps it: a chain is consistent.
CREATE STREAM bids (auction BIGINT, price BIGINT);
CREATE MATERIALIZED VIEW tops AS SELECT auction, max(price) AS top, count(*) AS n FROM bids GROUP BY auction EMIT UPDATE;
CREATE MATERIALIZED VIEW busy AS SELECT auction AS a, top FROM tops WHERE n > 1 EMIT CHANGES;
CREATE MATERIALIZED VIEW busy_tops AS SELECT auction, top FROM tops WHERE n > 1 EMIT UPDATE;
SELECT b.auction, b.price, t.top FROM bids b JOIN busy_tops t USING (auction) EMIT CHANGES;
-- error: a materialized view with EMIT CHANGES holds changes, not the result
SELECT b.auction FROM bids b JOIN busy ON b.auction = busy.a EMIT CHANGES;
CREATE SINK kept WITH (connector = 'memory');
INSERT INTO kept SELECT auction, top FROM busy_tops EMIT UPDATE;
-- error: the table of a memory sink inside a continuous query would be read once
SELECT b.auction FROM bids b JOIN kept k ON b.auction = k.auction EMIT CHANGES;
INSERT INTO bids VALUES (1, 10), (2, 20);
INSERT INTO bids VALUES (1, 15), (1, 5);
INSERT INTO bids VALUES (2, 1), (3, 3);
SELECT * FROM tops ORDER BY auction;
SELECT * FROM busy_tops ORDER BY auction;
SELECT * FROM kept ORDER BY auction;

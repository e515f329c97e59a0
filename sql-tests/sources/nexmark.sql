-- The auction benchmark's data are a function of the seed.
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 500, seed = 7);
CREATE STREAM person WITH (connector = 'nexmark', table = 'person', events = 500, seed = 7);
DESCRIBE bid;
SELECT count(*) AS n, min(price) AS low, max(price) AS high FROM bid EMIT COMPLETE TRIGGER ONCE;
SELECT count(*) AS n, count(DISTINCT state) AS states FROM person EMIT COMPLETE TRIGGER ONCE;

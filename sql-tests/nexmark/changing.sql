-- Nexmark q4 (mean of closing prices) and q101 to q106: joins, subqueries and aggregates over results that change.
CREATE STREAM auction WITH (connector = 'nexmark', table = 'auction', events = 300, seed = 5, events_per_second = 10, max_rows_per_batch = 60);
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 300, seed = 5, events_per_second = 10, max_rows_per_batch = 60);
SELECT q.category, avg(q.final) AS mean FROM (
  SELECT max(b.price) AS final, a.category FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
GROUP BY q.category EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q4');
SELECT a.id, a.item_name, m.max_price FROM auction a
LEFT JOIN (SELECT auction, max(price) AS max_price FROM bid GROUP BY auction) m ON a.id = m.auction
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q101');
SELECT a.id, a.item_name, count(b.auction) AS bid_count FROM auction a JOIN bid b ON a.id = b.auction GROUP BY a.id, a.item_name
HAVING count(b.auction) >= (SELECT count(*) / count(DISTINCT auction) FROM bid)
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q102');
SELECT a.id, a.item_name FROM auction a WHERE a.id IN (SELECT auction FROM bid GROUP BY auction HAVING count(*) >= 20)
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q103');
SELECT a.id, a.item_name FROM auction a WHERE a.id NOT IN (SELECT auction FROM bid GROUP BY auction HAVING count(*) < 20)
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q104');
SELECT a.id, a.item_name, count(b.auction) AS bid_count FROM auction a JOIN bid b ON a.id = b.auction
GROUP BY a.id, a.item_name ORDER BY bid_count DESC, a.id LIMIT 5 EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q105');
SELECT min(final) AS low FROM (SELECT a.id, max(b.price) AS final FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id)
EMIT UPDATE TRIGGER AVAILABLE NOW WITH (name = 'q106');

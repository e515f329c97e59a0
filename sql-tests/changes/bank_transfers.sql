-- Money moves between accounts: no batch shows some of it gone or twice, through a self-join, an outer join and nested aggregates.
CREATE STREAM transfers (id BIGINT, source BIGINT, target BIGINT, amount BIGINT);
CREATE VIEW credits AS SELECT target AS account, sum(amount) AS credit FROM transfers GROUP BY target;
CREATE VIEW debits AS SELECT source AS account, sum(amount) AS debit FROM transfers GROUP BY source;
CREATE VIEW balances AS SELECT coalesce(c.account, d.account) AS account, coalesce(credit, 0) - coalesce(debit, 0) AS balance
FROM credits c FULL JOIN debits d ON c.account = d.account;
SELECT sum(balance) AS total FROM balances EMIT UPDATE WITH (name = 'total');
SELECT sum(a.balance + b.balance) AS total, count(*) FILTER (WHERE a.balance <> b.balance) AS unequal
FROM balances a JOIN balances b ON a.account = b.account EMIT UPDATE WITH (name = 'twice');
SELECT sum(t.amount - r.amount) AS total, count(r.id) AS found FROM transfers t LEFT JOIN transfers r ON t.id = r.id EMIT UPDATE WITH (name = 'self_join');
SELECT sum(n * balance) AS total FROM (SELECT balance, count(*) AS n FROM balances GROUP BY balance) EMIT UPDATE WITH (name = 'nested');
INSERT INTO transfers VALUES (1, 10, 20, 5), (2, 20, 30, 7);
INSERT INTO transfers VALUES (3, 10, 30, 1);
INSERT INTO transfers VALUES (4, 30, 10, 8), (5, 40, 10, 2), (6, 10, 10, 3);
INSERT INTO transfers VALUES (7, 10, 40, 2), (8, 20, 10, 2);

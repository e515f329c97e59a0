-- Over the whole result of an aggregate anything goes: ORDER BY, LIMIT, OVER, joins with itself.
CREATE STREAM s (k VARCHAR, v BIGINT);
SELECT k, sum(v) AS total FROM s GROUP BY k ORDER BY total DESC LIMIT 2 EMIT COMPLETE;
SELECT k, total, rank() OVER (ORDER BY total DESC) AS place FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) EMIT COMPLETE;
SELECT max(total) AS most, count(*) AS groups FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) EMIT COMPLETE;
INSERT INTO s VALUES ('a', 1), ('b', 2), ('c', 3);
INSERT INTO s VALUES ('a', 10), ('d', 5);

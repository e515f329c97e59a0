-- Nexmark q0 (pass through), q1 (currency), q2 (selection), q14 (expressions), q21 (channel id), q22 (directories).
CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = 60, seed = 3, max_rows_per_batch = 30);
SELECT auction, bidder, price FROM bid TRIGGER AVAILABLE NOW WITH (name = 'q0');
SELECT auction, bidder, 0.908 * price AS price FROM bid TRIGGER AVAILABLE NOW WITH (name = 'q1');
SELECT auction, price FROM bid WHERE auction % 3 = 0 TRIGGER AVAILABLE NOW WITH (name = 'q2');
SELECT auction, 0.908 * price AS price,
  CASE WHEN date_part('hour', date_time) BETWEEN 8 AND 18 THEN 'day' WHEN date_part('hour', date_time) <= 6 OR date_part('hour', date_time) >= 20 THEN 'night' ELSE 'other' END AS time_type,
  length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000 TRIGGER AVAILABLE NOW WITH (name = 'q14');
SELECT auction, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
  ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] END AS channel_id
FROM bid WHERE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')
TRIGGER AVAILABLE NOW WITH (name = 'q21');
SELECT auction, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3
FROM bid TRIGGER AVAILABLE NOW WITH (name = 'q22');

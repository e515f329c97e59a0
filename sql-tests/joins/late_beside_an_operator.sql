-- A join of a stream with what an aggregate gives: rows of the stream are late by the watermark in force, like those of
-- any stream, although those of the aggregate are judged by the one before. The watermark of 01:00 comes from the first
-- step and closes nothing, so no batch without data is between the steps.

CREATE STREAM orders (id INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
CREATE STREAM clicks (ts TIMESTAMP, WATERMARK FOR ts AS ts);

SELECT o.id, c.n
FROM orders o
LEFT JOIN (SELECT window_start, window_end, count(*) AS n
           FROM TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '10 minutes') GROUP BY window_start, window_end) c
  ON o.ts >= c.window_start AND o.ts < c.window_end
EMIT CHANGES;

BEGIN;
INSERT INTO orders VALUES (1, '2026-01-01 01:00:00');
INSERT INTO clicks VALUES ('2026-01-01 01:00:00'), ('2026-01-01 01:09:00');
COMMIT;

BEGIN;
INSERT INTO clicks VALUES ('2026-01-01 01:01:00');
INSERT INTO orders VALUES (2, '2026-01-01 00:55:00'), (3, '2026-01-01 01:02:00');
COMMIT;

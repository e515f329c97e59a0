-- Computed columns follow from the others; one may be the event time.
CREATE STREAM s (
  id BIGINT,
  millis BIGINT,
  ts AS to_timestamp_millis(millis),
  parity AS CASE WHEN id % 2 = 0 THEN 'even' ELSE 'odd' END,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
);
INSERT INTO s VALUES (1, 1000), (2, 2500);
SELECT * FROM s;
SELECT window.start AS start, parity, count(*) AS n FROM s GROUP BY window(ts, '1 second'), parity EMIT APPEND;
INSERT INTO s VALUES (3, 4000), (4, 500);
-- error: column is computed and cannot be inserted: `parity`
INSERT INTO s (id, parity) VALUES (1, 'odd');

-- A view of final rows can only be read where rows wait for being final too.
CREATE STREAM bids (auction BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE MATERIALIZED VIEW counts AS SELECT window.start AS start, auction, count(*) AS n FROM bids GROUP BY window(ts, '10 seconds'), auction EMIT APPEND;
CREATE MATERIALIZED VIEW plain AS SELECT auction + 1 AS next, ts FROM bids EMIT APPEND;
-- error: materialized view `counts` holds final rows only (EMIT APPEND), and CHANGES mode gives rows before they are
SELECT start, n FROM counts EMIT CHANGES;
SELECT start, auction FROM counts WHERE n > 1 EMIT APPEND;
SELECT next FROM plain EMIT CHANGES;
INSERT INTO bids VALUES (1, '2026-01-01 00:00:01'), (1, '2026-01-01 00:00:02'), (2, '2026-01-01 00:00:03');
INSERT INTO bids VALUES (1, '2026-01-01 00:00:21');

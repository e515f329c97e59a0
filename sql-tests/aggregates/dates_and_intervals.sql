-- Dates, times, intervals and booleans as keys and as what is aggregated.
CREATE STREAM s (d DATE, t TIME, ts TIMESTAMP(3), b BOOLEAN);
SELECT d, min(ts) AS first, max(ts) AS last, max(t) AS latest, bool_and(b) AS every FROM s GROUP BY d EMIT UPDATE;
SELECT date_trunc('month', ts) AS month, count(*) AS n, max(d) AS day FROM s GROUP BY date_trunc('month', ts) EMIT COMPLETE;
SELECT extract(dow FROM d) AS dow, max(ts) - min(ts) AS span, min(d + INTERVAL '1 month') AS later FROM s GROUP BY extract(dow FROM d) EMIT COMPLETE;
INSERT INTO s VALUES ('2024-02-29', '10:00:00', '2024-02-29 10:00:00', true), ('2024-03-31', '00:00:00', '2024-03-31 00:00:00.001', NULL);
INSERT INTO s VALUES ('2024-02-29', '09:59:59.999', '2024-02-29 09:59:59.999', false), (NULL, NULL, NULL, NULL), ('1969-12-31', '23:00:00', '1969-12-31 23:00:00', true);

-- Times are ISO 8601, with as many digits as needed, also within structs and lists.
CREATE STREAM s (ts TIMESTAMP(3), us TIMESTAMP(6), ns TIMESTAMP(9), z TIMESTAMP(3) WITH TIME ZONE, d DATE, t TIME);
SELECT * FROM s;
SELECT named_struct('at', us, 'day', d) AS st, make_array(ts, NULL) AS list, us - ts AS took FROM s;
INSERT INTO s VALUES ('2026-01-01 00:00:00', '2026-01-01 00:00:00.000001', '2026-01-01 00:00:00.000000001', '2026-01-01T00:00:00Z', '2026-02-28', '23:59:59.5');
INSERT INTO s VALUES ('1969-12-31 23:59:59.9', '0001-01-01 00:00:00', '1700-01-01 00:00:00.5', '2026-06-01T12:00:00+02:00', '0001-01-01', '00:00:00');

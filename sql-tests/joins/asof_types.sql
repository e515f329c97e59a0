-- Keys and times of other types are made alike; ties of structs, lists and floats; the least and the greatest times.
CREATE STREAM l (id BIGINT, f DOUBLE, small SMALLINT, s VARCHAR, at DATE, n DECIMAL(20, 2));
CREATE STREAM r (f FLOAT, big BIGINT, w STRUCT<a BIGINT, b VARCHAR>, list BIGINT[], at TIMESTAMP(3), n BIGINT);
SELECT id, r.* FROM l ASOF JOIN r MATCH_CONDITION (l.n >= r.n) EMIT CHANGES;
SELECT id, r.f, r.w FROM l ASOF JOIN r MATCH_CONDITION (l.at >= r.at) ON l.f = r.f EMIT CHANGES;
SELECT id, r.big, r.list FROM l ASOF JOIN r MATCH_CONDITION (l.small < r.big) ON l.f = r.f AND CAST(l.s AS BIGINT) = r.n EMIT CHANGES;
SELECT id, r.big FROM l ASOF JOIN r MATCH_CONDITION (l.small + 1 <= r.big * 2) ON l.s || '' = r.w['b'] EMIT CHANGES;
INSERT INTO l VALUES (1, 0.0, 1, '1', DATE '2026-01-02', 1.5), (2, -0.0, 2, '1', DATE '1970-01-01', -3.25), (3, 'NaN', 32767, '2', DATE '2026-01-02', 99999999999999999.99);
INSERT INTO r VALUES (-0.0, 1, {'a': 1, 'b': '1'}, [1], '2026-01-01 12:00:00', 1), (0.0, 1, {'a': 1, 'b': NULL}, [1, 2], '2026-01-01 12:00:00', 1);
INSERT INTO r VALUES (0.0, 1, {'a': NULL, 'b': '2'}, NULL, '2026-01-01 12:00:00', 1), (0.0, 3, NULL, [], '2026-01-02 00:00:00', 1);
INSERT INTO r VALUES ('NaN', 9223372036854775807, NULL, [NULL], '2026-01-02 00:00:00.001', 9223372036854775807), ('NaN', -9223372036854775808, {'a': 2, 'b': '1'}, [], '1969-12-31 23:59:59', -9223372036854775808);

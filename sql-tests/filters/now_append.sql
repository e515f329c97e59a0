-- In APPEND mode what is out stays out: a row goes out in the first batch in which it passes.
CREATE STREAM s (id BIGINT, t TIMESTAMP(3));
-- Rows that are too old when they come never pass.
-- oracle: off rows that are out do not leave as now() moves on
SELECT id FROM s WHERE t > now() - INTERVAL '2 seconds';
-- Rows wait until they pass.
SELECT id FROM s WHERE t <= now();
-- oracle: off rows that are out do not leave as now() moves on
SELECT id FROM s WHERE t BETWEEN now() - INTERVAL '2 seconds' AND now();
-- Another condition on now() is looked at when the row comes.
-- oracle: off the answer is that at the row's time
SELECT id, extract(second FROM now()) AS at FROM s WHERE t > now() OR extract(second FROM now()) = 2;
INSERT INTO s VALUES (1, '2025-12-31 00:00:00'), (2, '2026-01-01 00:00:01'), (3, '2026-01-01 00:00:03'), (4, NULL);
INSERT INTO s VALUES (5, '2026-01-01 00:00:00'), (6, '2026-01-01 00:00:05');
INSERT INTO s VALUES (7, '2026-01-01 00:00:00');
INSERT INTO s VALUES (8, '2025-01-01 00:00:00');
INSERT INTO s VALUES (9, '2026-01-01 00:00:04');

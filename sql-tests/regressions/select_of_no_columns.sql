-- A result without columns can be handed to nobody.
CREATE STREAM s (k BIGINT);
-- error: at least one column
FROM s CROSS JOIN s AS r EMIT CHANGES;
-- error: at least one column
SELECT FROM s;

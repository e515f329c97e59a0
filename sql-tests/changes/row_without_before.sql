-- oracle: off the query fails, and that is what is shown
CREATE STREAM s (k BIGINT) WITH (connector = 'file', path = '${DIR}/../data/no_before/', format = 'debezium-json');
-- error: a change has no row in `before`: op=`d`; let the database log whole rows
SELECT k FROM s EMIT CHANGES;

-- What a file source knows of each file, as columns.
CREATE STREAM events (
  id INT, name VARCHAR, at TIMESTAMP(3),
  file VARCHAR METADATA FROM 'file_name', size BIGINT METADATA FROM 'file_size'
) WITH (connector = 'file', path = '${DIR}/../data/events/', format = 'csv', header = 'true', max_files_per_batch = 1);
SELECT file, id, size > 0 AS has_size FROM events;
SELECT file, count(*) AS n FROM events GROUP BY file EMIT COMPLETE;
DESCRIBE events;
-- error: unknown metadata of connector `file` in stream `bad`: `file_nam`; did you mean `file_name`?
CREATE STREAM bad (id INT, f VARCHAR METADATA FROM 'file_nam') WITH (connector = 'file', path = '${DIR}/../data/events/', format = 'csv');
-- error: unknown metadata of connector `memory`
CREATE STREAM bad (id INT, f VARCHAR METADATA FROM 'offset');

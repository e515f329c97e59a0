-- What SHOW CREATE prints can be executed, and prints the same again.
CREATE STREAM "Mixed Case" (
  "select" BIGINT NOT NULL, "two words" VARCHAR, ts TIMESTAMP(3), p AS PROCTIME(), twice AS "select" * 2,
  WATERMARK FOR ts AS ts - INTERVAL '90' SECOND
) WITH (connector = 'memory', idle_timeout = '1 minute', final_watermark = 'true');
SHOW CREATE STREAM "Mixed Case";
DROP STREAM "Mixed Case";
CREATE STREAM "Mixed Case" (
  "select" BIGINT NOT NULL,
  "two words" VARCHAR,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  twice AS "select" * 2,
  WATERMARK FOR ts AS ts - INTERVAL '90' SECOND
) WITH (
  connector = 'memory',
  idle_timeout = '1 minute',
  final_watermark = 'true'
);
SHOW CREATE STREAM "Mixed Case";
DESCRIBE "Mixed Case";
CREATE SINK "Out" WITH (connector = 'console', num_rows = 3, truncate = false);
SHOW CREATE SINK "Out";
-- error: not of that kind: `Out` is a sink
SHOW CREATE STREAM "Out";
CREATE MATERIALIZED VIEW mv AS SELECT "select", count(*) AS n FROM "Mixed Case" GROUP BY "select" EMIT UPDATE;
SHOW CREATE MATERIALIZED VIEW mv;

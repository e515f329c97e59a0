"""Compares the Parquet that the engine wrote with DuckDB's batch answer over the rows that it read.

Reads the directories as any reader would, knowing nothing of the engine: windows of ten seconds per auction, and the
bids themselves, partitioned by channel.
"""

import sys

import duckdb

root = sys.argv[1]
windows = f"read_parquet('{root}/windows/**/*.parquet')"
bids = f"read_parquet('{root}/bids/**/*.parquet', hive_partitioning = true)"

batch = f"""
    SELECT time_bucket(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01') AS window_start, auction,
           count(*) AS bids, max(price) AS highest, sum(price)::BIGINT AS total
    FROM {bids} GROUP BY ALL
"""
stream = f"SELECT window_start::TIMESTAMP AS window_start, auction, bids, highest, total FROM {windows}"

read = duckdb.sql(f"SELECT count(*) FROM {bids}").fetchone()[0]
wrote = duckdb.sql(f"SELECT count(*) FROM {windows}").fetchone()[0]
missing = duckdb.sql(f"SELECT count(*) FROM (({batch}) EXCEPT ALL ({stream}))").fetchone()[0]
extra = duckdb.sql(f"SELECT count(*) FROM (({stream}) EXCEPT ALL ({batch}))").fetchone()[0]

print(f"bids={read} windows={wrote} missing={missing} extra={extra}")
if read != 184000 or wrote == 0 or missing or extra:
    sys.exit("the Parquet files differ from the batch answer")

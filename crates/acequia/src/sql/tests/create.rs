//! CREATE and the small statements.

use super::*;

#[test]
fn core_spelling_of_streams_and_sinks() {
    check(&[
        (
            "CREATE STREAM bids (
               auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
               ts TIMESTAMP(3),
               proc AS PROCTIME(),
               part INT METADATA FROM 'partition',
               WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
             ) WITH (connector = 'file', path = 'data/bids/', format = 'json')",
            "CREATE STREAM bids (\n  auction BIGINT,\n  bidder BIGINT,\n  price BIGINT,\n  channel VARCHAR,\n  \
             ts TIMESTAMP(3),\n  proc AS PROCTIME(),\n  part INT METADATA FROM 'partition',\n  \
             WATERMARK FOR ts AS ts - INTERVAL '5' SECOND\n) WITH (\n  connector = 'file',\n  \
             path = 'data/bids/',\n  format = 'json'\n)",
        ),
        (
            "CREATE SINK totals WITH (connector = 'parquet', path = 'out/totals/', partition_by = 'day');",
            "CREATE SINK totals WITH (\n  connector = 'parquet',\n  path = 'out/totals/',\n  partition_by = 'day'\n)",
        ),
        ("CREATE STREAM s (a INT)", "CREATE STREAM s (\n  a INT\n)"),
        ("CREATE STREAM s WITH (connector = rate)", "CREATE STREAM s WITH (\n  connector = 'rate'\n)"),
    ]);
}

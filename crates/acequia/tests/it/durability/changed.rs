//! A query that is not the one that its checkpoint was written for.

use super::faults::Operations;
use super::*;
use acequia::ErrorKind;

/// A stream under several names, so that one query can be said in several ways.
async fn world() -> World {
    let columns = "(k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts)";
    World::with(&format!("CREATE STREAM s {columns}; CREATE STREAM t {columns};")).await
}

/// What a second run says to the checkpoint of a first one.
async fn second(first: &str, second: &str) -> Result<()> {
    let world = world().await;
    let trial = Trial::default();
    let rows = "VALUES (1, 10, '2024-01-01T00:00:01'), (2, 20, '2024-01-01T00:00:12')";
    world.session.sql(&format!("INSERT INTO s {rows}; INSERT INTO t {rows}")).await.unwrap();
    let query = world.start(first, &trial, &Operations::default()).await.unwrap();
    query.process_all_available().await.unwrap();
    query.stop().await.unwrap();
    let query = world.start(second, &trial, &Operations::default()).await?;
    world.session.sql("INSERT INTO s VALUES (3, 30, '2024-01-01T00:00:31')").await.unwrap();
    query.process_all_available().await?;
    query.stop().await
}

#[tokio::test]
async fn what_does_not_touch_the_state_may_change() {
    let grouped = "SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k EMIT UPDATE";
    let windowed = "SELECT window(ts, '10 seconds') AS w, count(*) AS n FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND";
    let distinct = "SELECT DISTINCT ON (k) k, v FROM s EMIT APPEND";
    let cases: &[(&str, &str)] = &[
        ("SELECT k FROM s", "SELECT k + 1 AS j, v FROM s WHERE v > 10"),
        (grouped, "select x.k,\n  count(*) as n, sum(x.v) AS total from s as x group by x.k emit update"),
        (
            grouped,
            "SELECT k AS key, n * 2 AS twice FROM (SELECT k, count(*) AS n, sum(v) AS t FROM s GROUP BY k) WHERE t > 0 EMIT UPDATE",
        ),
        (grouped, "SELECT k, count(*) AS n, sum(v) AS total FROM s WHERE v > 10 GROUP BY k EMIT UPDATE"),
        (
            grouped,
            "SELECT j AS k, count(*) AS n, sum(w) AS total FROM (SELECT k AS j, v AS w FROM s) AS q GROUP BY j EMIT UPDATE",
        ),
        (
            windowed,
            "SELECT count(*) AS n, window(y.ts, '10 seconds') AS u FROM s AS y WHERE k > 0 GROUP BY window(y.ts, '10 seconds') EMIT APPEND",
        ),
        (
            distinct,
            "SELECT DISTINCT ON (y.k) y.k, y.v + 1 AS more, y.ts FROM s AS y WHERE y.v > 0 EMIT APPEND",
        ),
    ];
    for (before, after) in cases {
        second(before, after).await.unwrap_or_else(|e| panic!("{after}: {e}"));
    }
}

#[tokio::test]
async fn what_the_state_depends_on_may_not_change() {
    let grouped = "SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE";
    let windowed = "SELECT window(ts, '10 seconds') AS w, count(*) AS n FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "group keys",
            grouped,
            "SELECT v, count(*) AS n FROM s GROUP BY v EMIT UPDATE",
            &["aggregate#0", "keys=[k]", "keys=[v]"],
        ),
        (
            "what a key means",
            grouped,
            "SELECT k, count(*) AS n FROM (SELECT k % 2 AS k FROM s) GROUP BY k EMIT UPDATE",
            &["aggregate#0", "k %"],
        ),
        (
            "aggregates",
            grouped,
            "SELECT k, max(v) AS n FROM s GROUP BY k EMIT UPDATE",
            &["aggregate#0", "max(v)"],
        ),
        (
            "one aggregate more",
            grouped,
            "SELECT k, count(*) AS n, min(v) AS low FROM s GROUP BY k EMIT UPDATE",
            &["aggregate#0", "min(v)"],
        ),
        (
            "window size",
            windowed,
            "SELECT window(ts, '20 seconds') AS w, count(*) AS n FROM s GROUP BY window(ts, '20 seconds') EMIT APPEND",
            &["aggregate#0", "10 seconds", "20 seconds"],
        ),
        (
            "mode",
            grouped,
            "SELECT k, count(*) AS n FROM s GROUP BY k EMIT COMPLETE",
            &["aggregate#0", "emits="],
        ),
        (
            "mode back",
            "SELECT k, count(*) AS n FROM s GROUP BY k EMIT COMPLETE",
            grouped,
            &["aggregate#0", "emits="],
        ),
        ("stream", grouped, "SELECT k, count(*) AS n FROM t GROUP BY k EMIT UPDATE", &["was=[s]", "is=[t]"]),
        (
            "one stream more",
            "SELECT k FROM s",
            "SELECT k FROM s UNION ALL SELECT k FROM t",
            &["was=[s]", "is=[s, t]"],
        ),
        ("an operator added", "SELECT k FROM s", grouped, &["aggregate#0", "was=`nothing`"]),
        ("an operator removed", grouped, "SELECT k FROM s", &["aggregate#0", "no longer"]),
        (
            "another operator",
            "SELECT DISTINCT k FROM s",
            "SELECT DISTINCT ON (k) k FROM s",
            &["drop_duplicates#0", "distinct"],
        ),
        (
            "key of drop_duplicates",
            "SELECT DISTINCT ON (k) k, v FROM s",
            "SELECT DISTINCT ON (v) k, v FROM s",
            &["drop_duplicates#0"],
        ),
    ];
    for (what, before, after, texts) in cases {
        let error = second(before, after).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        assert_contains(&error, texts);
        assert_contains(&error, &["query `q`", "new checkpoint"]);
    }
}

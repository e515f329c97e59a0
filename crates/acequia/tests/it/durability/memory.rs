//! From a stream in memory to a table in memory, by way of a checkpoint any operation on which may fail.

use super::faults::{At, Fault, Operations, lines};
use super::*;
use acequia_connectors::sinks::memory::MemorySink;
use acequia_connectors::sinks::{MemoryTable, NoConsole, SinkEnvironment};
use acequia_core::SystemClock;
use acequia_core::disk::Disk;
use futures::{StreamExt, stream};

const QUERIES: &[&str] = &[
    "SELECT k, v FROM s EMIT APPEND TRIGGER AVAILABLE NOW",
    "SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k EMIT UPDATE TRIGGER AVAILABLE NOW",
    "SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k EMIT COMPLETE TRIGGER AVAILABLE NOW",
    "SELECT k, count(*) AS n FROM s GROUP BY k EMIT CHANGES TRIGGER AVAILABLE NOW",
];

async fn run(
    world: &World,
    sql: &str,
    table: &Arc<MemoryTable>,
    trial: &Trial,
    operations: &Operations,
) -> Result<()> {
    let sink = MemorySink::new(&SinkEnvironment {
        console: Arc::new(NoConsole),
        memory: Arc::clone(table),
        on_batch: None,
        disk: Disk::default(),
        clock: Arc::new(SystemClock::default()),
    });
    world.start_into(Box::new(sink), "q", sql, trial, operations).await?.await_termination().await
}

fn content(table: &MemoryTable) -> Rows {
    let mut rows: Rows = table.snapshot().unwrap().iter().flat_map(|batch| lines(batch, "")).collect();
    rows.sort();
    rows
}

/// Each operation with each fault; gives the number of operations.
async fn every_operation(world: &World, sql: &str) -> usize {
    let (table, operations) = (MemoryTable::new(), Operations::default());
    run(world, sql, &table, &Trial::default(), &operations).await.unwrap();
    let expected = content(&table);
    assert!(expected.len() >= 3, "{expected:?}");
    for at in 1..=operations.count() {
        for fault in Fault::ALL {
            let (table, trial) = (MemoryTable::new(), Trial::default());
            let ran = run(world, sql, &table, &trial, &Operations::failing(At::Operation(at), fault)).await;
            let case = format!("{sql}: operation {at}, {fault:?}: {ran:?}");
            run(world, sql, &table, &trial, &Operations::default())
                .await
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            assert_eq!(content(&table), expected, "{case}");
        }
    }
    operations.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_has_every_batch_once_whichever_operation_fails() {
    let world = &World::with("CREATE STREAM s (k BIGINT, v BIGINT)").await;
    for rows in ["(1, 10), (2, 20)", "(1, 11), (3, 30)", "(2, 21), (2, 22), (1, 12)"] {
        world.session.sql(&format!("INSERT INTO s VALUES {rows}")).await.unwrap();
    }
    let tries = stream::iter(QUERIES).map(|sql| every_operation(world, sql));
    let points: usize = tries.buffer_unordered(QUERIES.len()).collect::<Vec<usize>>().await.iter().sum();
    println!("{points} points, {} queries, {} runs", QUERIES.len(), 8 * points);
    assert!(points > 30 * QUERIES.len(), "{points}");
}

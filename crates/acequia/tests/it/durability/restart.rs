//! Queries of sessions over files, stopped and started again.

use super::files::{Disk, finish, rows};
use super::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const BIDS: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '20000', events_per_second = '20', max_rows_per_batch = '1500', seed = '1');
CREATE SINK o WITH (connector = 'parquet', path = '{out}', partition_by = 'part');
";
const WINDOWS: &str = "
SELECT window(date_time, '1 minute')['start'] AS s, auction % 3 AS part, count(*) AS n, max(price) AS high, sum(price) AS total
FROM b GROUP BY window(date_time, '1 minute'), auction % 3";

/// Stops a query once it has done so many batches more, or has ended; whether it has ended.
async fn stop_after(session: &Session, batches: usize) -> bool {
    let query = Arc::clone(&session.queries()[0].handle);
    until("batches are done", || query.recent_progress().len() >= batches || !query.is_active()).await;
    let ended = !query.is_active();
    query.stop().await.unwrap();
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_after_random_batches_leave_the_same_parquet_as_one_run_and_as_the_batch_query() {
    let insert =
        format!("{BIDS} INSERT INTO o {WINDOWS} EMIT APPEND WITH (name = 'q', checkpoint = '{{chk}}')");
    let undisturbed = Disk::new();
    finish(&undisturbed.run(&insert).await.unwrap()).await.unwrap();
    let expected = undisturbed.output("PARQUET").await;

    let raw = Disk::new();
    let all = format!("{BIDS} INSERT INTO o SELECT *, 0 AS part FROM b");
    finish(&raw.run(&all).await.unwrap()).await.unwrap();
    let batch = Session::new().unwrap();
    batch.sql(&raw.sql("CREATE EXTERNAL TABLE b STORED AS PARQUET LOCATION '{out}/'")).await.unwrap();
    let closed = format!(
        "SELECT s, n, high, total, part FROM ({WINDOWS}) WHERE s + INTERVAL '1 minute' <= (SELECT max(date_time) - INTERVAL '5 seconds' FROM b)"
    );
    assert_eq!(expected, rows(&batch, &closed).await, "closed windows of the batch query");
    assert!(expected.len() > 40, "{}", expected.len());

    for seed in 0..3 {
        let (disk, mut random, mut runs) = (Disk::new(), SmallRng::seed_from_u64(seed), 0);
        loop {
            runs += 1;
            let shards = [4, 1, 2][runs % 3];
            let session = disk.run(&format!("SET acequia.shards = {shards}; {insert}")).await.unwrap();
            if stop_after(&session, random.random_range(1..4)).await {
                break;
            }
        }
        assert!(runs > 2, "{runs}");
        assert_eq!(disk.output("PARQUET").await, expected, "seed={seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn available_now_again_and_again_over_a_growing_directory() {
    let disk = Disk::new();
    let statements = "
CREATE STREAM lines (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts) WITH (connector = 'file', path = '{in}', format = 'json', max_files_per_batch = '1');
CREATE SINK o WITH (connector = 'file', path = '{out}', format = 'csv');
INSERT INTO o SELECT window(ts, '10 seconds')['start'] AS s, count(*) AS n, sum(v) AS total FROM lines GROUP BY window(ts, '10 seconds')
EMIT APPEND TRIGGER AVAILABLE NOW WITH (checkpoint = '{chk}');";
    let line = |second: u64| format!("{{\"k\":1,\"v\":{second},\"ts\":\"2024-01-01T00:00:{second:02}\"}}\n");
    disk.add("a.json", &(line(1) + &line(2)));
    disk.add("b.json", &line(11));
    finish(&disk.run(statements).await.unwrap()).await.unwrap();
    assert_eq!(disk.output("CSV").await, ["2024-01-01T00:00:00|2|3"]);
    finish(&disk.run(statements).await.unwrap()).await.unwrap();
    assert_eq!(disk.output("CSV").await.len(), 1, "nothing new, nothing twice");
    disk.add("c.json", &(line(12) + &line(23)));
    disk.add("d.json", &line(35));
    finish(&disk.run(statements).await.unwrap()).await.unwrap();
    let expected = ["2024-01-01T00:00:00|2|3", "2024-01-01T00:00:10|2|23", "2024-01-01T00:00:20|1|23"];
    assert_eq!(disk.output("CSV").await, expected);
}

#[tokio::test]
async fn memory_sink_and_stream_go_on_within_a_session() {
    let disk = Disk::new();
    let session =
        disk.run("CREATE STREAM s (k BIGINT); CREATE SINK t WITH (connector = 'memory')").await.unwrap();
    let insert = disk.sql("INSERT INTO t SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE WITH (name = 'q', checkpoint = '{chk}')");
    for round in 1..=4 {
        session.sql(&insert).await.unwrap();
        session.sql("INSERT INTO s VALUES (1), (2)").await.unwrap();
        session.process_all_available().await.unwrap();
        session.sql("STOP QUERY q").await.unwrap();
        session.sql("INSERT INTO s VALUES (1)").await.unwrap();
        let ones = 2 * round - 1;
        assert_eq!(rows(&session, "SELECT * FROM t").await, [format!("1|{ones}"), format!("2|{round}")]);
    }
}

#[tokio::test]
async fn another_sink_path_is_refused() {
    let disk = Disk::new();
    let statements = |path: &str, rows: &str| {
        format!("CREATE STREAM s (k BIGINT); INSERT INTO s VALUES {rows}; CREATE SINK o WITH (connector = 'parquet', path = '{{out}}{path}');
        INSERT INTO o SELECT k FROM s EMIT APPEND TRIGGER AVAILABLE NOW WITH (checkpoint = '{{chk}}')")
    };
    finish(&disk.run(&statements("", "(1)")).await.unwrap()).await.unwrap();
    let error = disk.run(&statements("/else", "(1), (2)")).await.err().unwrap();
    assert_contains(&error, &["path", "batch 0"]);
}

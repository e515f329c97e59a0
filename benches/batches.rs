//! What a micro-batch costs: of one row, from a million rows to one, as the state grows; and what groups and the rows of
//! a join cost in memory.
//!
//! ```text
//! cargo bench --bench batches                    # up to 10 million groups
//! cargo bench --bench batches -- --groups 50     # up to 50 million
//! cargo bench --bench batches -- --only memory   # no times
//! ```
//! Times are medians of whole batches, from asking the source to forgetting what is committed. The checkpoint is in the
//! directory for temporary files, on local disk.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use acequia::{Error, Result, Session, StatementOutput, StreamingQueryListener, StreamingQueryProgress};
use acequia_core::disk::{Disk, DiskObserver, Step};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The allocator of the `acequia` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a child process is asked for.
const GROUPS: &str = "--memory-of-groups";
const JOIN: &str = "--memory-of-join";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(groups) = number(&arguments, GROUPS) {
        return memory_of_groups(groups).await;
    }
    if let Some(rows) = number(&arguments, JOIN) {
        return memory_of_join(rows).await;
    }
    let millions = number(&arguments, "--groups").unwrap_or(10);
    let directory = std::env::temp_dir().join(format!("acequia-batches-{}", std::process::id()));
    if arguments.iter().all(|argument| argument != "memory") {
        one_row(&directory).await?;
        shrinking_batches().await?;
        growing_state(millions).await?;
    }
    memory(millions)?;
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn number(arguments: &[String], name: &str) -> Option<u64> {
    let at = arguments.iter().position(|a| a == name)?;
    arguments.get(at + 1)?.parse().ok()
}

/// Keeps what a query tells of its batches.
#[derive(Default)]
struct Told(Mutex<Vec<StreamingQueryProgress>>);

impl StreamingQueryListener for Told {
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        if let Ok(mut told) = self.0.lock() {
            told.push(progress.clone());
        }
    }
}

/// Counts what waits for the disk.
#[derive(Debug, Default)]
struct Syncs(AtomicU64);

impl DiskObserver for Syncs {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        if matches!(step, Step::Sync(_) | Step::SyncDirectory(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The median time of a batch in microseconds, the first batches left out.
fn median(told: &[StreamingQueryProgress]) -> f64 {
    let whole = |p: &StreamingQueryProgress| p.duration_ms.latest_offset + p.duration_ms.trigger_execution;
    let warm = if told.len() > 20 { told.len() / 10 } else { usize::from(told.len() > 2) };
    let mut times: Vec<f64> = told.iter().skip(warm).map(|progress| whole(progress) * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Runs statements to their end; gives what their query told of its batches.
async fn run(text: &str, disk: Disk) -> Result<Vec<StreamingQueryProgress>> {
    let told = Arc::new(Told::default());
    let listener: Arc<dyn StreamingQueryListener> = Arc::clone(&told) as _;
    let session = Session::builder().listener(listener).disk(disk).build()?;
    for output in session.sql(text).await? {
        if let StatementOutput::Query(query) = output {
            query.await_termination().await?;
        }
    }
    let mut told = told.0.lock().map_err(|_| Error::internal("a listener panicked"))?;
    Ok(std::mem::take(&mut *told))
}

async fn one_row(directory: &Path) -> Result<()> {
    const ROWS: usize = 2_000;
    println!("one row a batch, a count and a sum by key, memory to blackhole");
    println!("{:<22} {:>10} {:>14}", "", "median µs", "syncs a batch");
    for durable in [false, true] {
        let mut text = String::from(
            "CREATE STREAM s (k BIGINT, v BIGINT); CREATE SINK b WITH (connector = 'blackhole');",
        );
        for row in 0..ROWS {
            text += &format!("INSERT INTO s VALUES ({}, {row});", row % 100);
        }
        let checkpoint = if durable {
            format!("WITH (checkpoint = '{}')", directory.join("PLACE").display())
        } else {
            String::new()
        };
        text += &format!(
            "INSERT INTO b SELECT k, count(*) AS n, sum(v) AS v FROM s GROUP BY k
             EMIT UPDATE TRIGGER AVAILABLE NOW {checkpoint};"
        );
        let told = run(&text.replace("PLACE", "timed"), Disk::default()).await?;
        let name = if durable { "durable checkpoint" } else { "no checkpoint" };
        print!("{name:<22} {:>10.0}", median(&told));
        // An observed disk does not wait, so that syncs are counted in another run.
        let syncs = Arc::new(Syncs::default());
        let told = run(&text.replace("PLACE", "counted"), Disk::observed(Arc::clone(&syncs) as _)).await?;
        println!(" {:>14.2}", syncs.0.load(Ordering::Relaxed) as f64 / told.len() as f64);
    }
    Ok(())
}

fn rate(rows_per_batch: u64, rows: u64) -> String {
    format!(
        "CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '{rows_per_batch}', num_rows = '{rows}');
         CREATE SINK b WITH (connector = 'blackhole');"
    )
}

async fn shrinking_batches() -> Result<()> {
    println!("\nrows a batch: median µs a batch (µs per thousand rows)");
    println!("{:>9} {:>22} {:>26}", "rows", "filter and project", "aggregate, 10,000 keys");
    for rows in [1_000_000_u64, 100_000, 10_000, 1_000, 100, 10, 1] {
        let batches = (20_000_000 / rows).clamp(20, 2_000);
        let mut line = format!("{rows:>9}");
        for query in [
            "SELECT value, value * 2 AS twice FROM r WHERE value % 3 = 0",
            "SELECT value * 7919 % 10000 AS k, count(*) AS n, sum(value) AS v FROM r GROUP BY 1 EMIT UPDATE",
        ] {
            let told =
                run(&format!("{}INSERT INTO b {query}", rate(rows, rows * batches)), Disk::default()).await?;
            let each = median(&told);
            line += &format!("{each:>14.0} ({:>8.0})", each * 1e3 / rows as f64);
        }
        println!("{line}");
    }
    Ok(())
}

/// Batches of 1,000 rows over all keys of ever larger state.
async fn growing_state(millions: u64) -> Result<()> {
    const BATCH: u64 = 1_000;
    println!("\nthe same batch over more state: 1,000 rows of random keys");
    println!("{:>12} {:>12}", "groups", "median µs");
    for groups in [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|g| *g <= millions * 1_000_000)
    {
        // A stream that fills the state in large batches, and then one whose batches are timed.
        let text = format!(
            "CREATE STREAM all_keys WITH (connector = 'rate', rows_per_batch = '500000', num_rows = '{groups}');
             CREATE STREAM some WITH (connector = 'rate', rows_per_batch = '{BATCH}', num_rows = '{}');
             CREATE SINK b WITH (connector = 'blackhole');
             INSERT INTO b SELECT k, count(*) AS n, sum(k) AS v FROM (
               SELECT value AS k FROM all_keys UNION ALL SELECT value * 2654435761 % {groups} FROM some
             ) GROUP BY k EMIT UPDATE",
            BATCH * (groups.div_ceil(500_000) + 2_000)
        );
        let told = run(&text, Disk::default()).await?;
        let filled: Vec<_> = told.into_iter().filter(|progress| progress.num_input_rows == BATCH).collect();
        println!("{groups:>12} {:>12.0}", median(&filled));
    }
    Ok(())
}

/// Each in a process of its own: freed memory of one would be used by the next.
fn memory(millions: u64) -> Result<()> {
    let child = |what: &str, number: u64| {
        let mut child = Command::new(std::env::current_exe()?);
        match child.args([what, &number.to_string()]).status()?.success() {
            true => Ok(()),
            false => Err(Error::internal("the process that holds the state has failed")),
        }
    };
    println!("\na count and a sum by a BIGINT key");
    println!("{:>12} {:>18} {:>22}", "groups", "bytes a group", "(as the operator says)");
    for groups in [1, 10, 50].into_iter().filter(|m| *m <= millions).map(|m| m * 1_000_000) {
        child(GROUPS, groups)?;
    }
    println!("\na join of two streams by a BIGINT key, rows of 24 bytes, each with one partner");
    println!("{:>12} {:>18} {:>22}", "rows a side", "of Arrow's bytes", "(as the operator says)");
    for rows in [1_000_000, 10_000_000] {
        child(JOIN, rows)?;
    }
    Ok(())
}

async fn memory_of_groups(groups: u64) -> Result<()> {
    let text = format!(
        "{}INSERT INTO b SELECT value AS k, count(*) AS n, sum(value) AS v FROM r GROUP BY 1 EMIT UPDATE",
        rate(100_000, groups)
    );
    let (resident, state) = memory_of(&text).await?;
    let per_group = |bytes: u64| bytes as f64 / groups as f64;
    println!("{groups:>12} {:>18.0} {:>22.0}", per_group(resident), per_group(state));
    Ok(())
}

async fn memory_of_join(rows: u64) -> Result<()> {
    let side = |name: &str| {
        format!(
            "CREATE STREAM {name} (value BIGINT, timestamp TIMESTAMP, price AS value % 1000)
             WITH (connector = 'rate', rows_per_batch = '100000', num_rows = '{rows}');"
        )
    };
    let text = format!(
        "{}{}CREATE SINK b WITH (connector = 'blackhole');
         INSERT INTO b SELECT l.*, r.timestamp AS t, r.price AS p FROM l JOIN r ON l.value = r.value",
        side("l"),
        side("r")
    );
    let (resident, state) = memory_of(&text).await?;
    let of_arrow = |bytes: u64| bytes as f64 / (2 * 24 * rows) as f64;
    println!("{rows:>12} {:>18.2} {:>22.2}", of_arrow(resident), of_arrow(state));
    Ok(())
}

/// What the process holds after the last batch of a query, and what the query's operators say that they do.
async fn memory_of(text: &str) -> Result<(u64, u64)> {
    let before = resident();
    let peak = Arc::new(Peak::default());
    let listener: Arc<dyn StreamingQueryListener> = Arc::clone(&peak) as _;
    let session = Session::builder().listener(listener).build()?;
    for output in session.sql(text).await? {
        if let StatementOutput::Query(query) = output {
            query.await_termination().await?;
        }
    }
    let resident = peak.resident.load(Ordering::Relaxed).saturating_sub(before);
    Ok((resident, peak.state.load(Ordering::Relaxed)))
}

/// What was held after the last batch.
#[derive(Default)]
struct Peak {
    resident: AtomicU64,
    state: AtomicU64,
}

impl StreamingQueryListener for Peak {
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        let state = progress.state_operators.iter().map(|operator| operator.memory_used_bytes).sum();
        self.state.store(state, Ordering::Relaxed);
        self.resident.store(resident(), Ordering::Relaxed);
    }
}

/// The process's resident memory in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

//! What must not grow: the cost of a batch, the files of a checkpoint and the memory over 100,000 batches; the time to
//! recover with the number of batches; the state of windows over millions of events, whose output eviction must not
//! change.
//!
//! ```text
//! cargo bench --bench growth                      # 100,000 batches, 10 million events
//! cargo bench --bench growth -- 5000 1000000      # batches, events
//! ```
//! The checkpoint is on the local disk (the directory for temporary files), every batch synced.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use acequia::{
    Error, NoConsole, Result, Session, StatementOutput, StreamingQueryListener, StreamingQueryProgress,
    TableLayout, format_table,
};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The allocator of the `acequia` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Over how many batches a figure is taken.
const SAMPLE: u64 = 1_000;

/// Windows of a hundred keys: the state has a bound, and every batch changes it.
const WINDOWS: &str =
    "SELECT window(timestamp, '100 seconds') AS w, value % 100 AS k, count(*) AS n, sum(value) AS total
FROM r GROUP BY window(timestamp, '100 seconds'), value % 100 EMIT UPDATE";

#[tokio::main]
async fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let (batches, events) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(10_000_000));
    let directory = std::env::temp_dir().join(format!("acequia-growth-{}", std::process::id()));
    let long = directory.join("long");
    println!("{batches} batches of ten rows, each durable\n");
    println!(
        "{:>8} {:>12} {:>8} {:>12} {:>10} {:>12}",
        "batch", "ms a batch", "files", "bytes", "RSS MiB", "state bytes"
    );
    run_batches(&long, batches, true).await?;
    let short = directory.join("short");
    run_batches(&short, SAMPLE.min(batches / 10), false).await?;
    println!("\nto go on after {batches} batches: {:.1?}", recover(&long).await?);
    println!("to go on after {} batches: {:.1?}", SAMPLE.min(batches / 10), recover(&short).await?);
    bounded_state(events).await?;
    std::fs::remove_dir_all(&directory).map_err(|e| Error::from(e).context("remove the checkpoints"))
}

fn stream(rows: u64) -> String {
    format!(
        "CREATE STREAM r (timestamp TIMESTAMP(3), value BIGINT, WATERMARK FOR timestamp)
         WITH (connector = 'rate', rows_per_batch = '10', advance_per_batch = '1 second', num_rows = '{rows}');
         CREATE SINK b WITH (connector = 'blackhole');"
    )
}

/// Prints a line whenever ten times as many batches are done.
struct Samples {
    checkpoint: std::path::PathBuf,
    last: u64,
    print: bool,
    sums: Mutex<(u64, f64)>,
}

impl StreamingQueryListener for Samples {
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        let (done, mean) = {
            let Ok(mut sums) = self.sums.lock() else { return };
            let done = progress.batch_id.0 + 1;
            if done % SAMPLE == 1 {
                *sums = (0, 0.0);
            }
            *sums = (sums.0 + 1, sums.1 + progress.duration_ms.trigger_execution);
            (done, sums.1 / sums.0 as f64)
        };
        let marked = [1, 2, 5].iter().any(|n| (3..9).any(|power| done == n * 10_u64.pow(power)));
        if self.print && (marked || done == self.last) {
            let (files, bytes) = size(&self.checkpoint);
            let state: u64 = progress.state_operators.iter().map(|o| o.memory_used_bytes).sum();
            println!("{done:>8} {mean:>12.3} {files:>8} {bytes:>12} {:>10.1} {state:>12}", resident_mib());
        }
    }
}

async fn run_batches(checkpoint: &Path, batches: u64, print: bool) -> Result<()> {
    let samples = Samples { checkpoint: checkpoint.to_owned(), last: batches, print, sums: Mutex::default() };
    let session = Session::builder().listener(Arc::new(samples)).build()?;
    session.sql(&stream(batches * 10)).await?;
    let insert =
        format!("INSERT INTO b {WINDOWS} WITH (name = 'q', checkpoint = '{}')", checkpoint.display());
    wait(session.sql(&insert).await?).await
}

/// How long it takes from the start of the process's work to a query that has its state again.
async fn recover(checkpoint: &Path) -> Result<Duration> {
    let began = Instant::now();
    let session = Session::new()?;
    session.sql(&stream(u64::MAX / 2)).await?;
    let insert = format!(
        "INSERT INTO b {WINDOWS} TRIGGER EVERY '1 hour' WITH (name = 'q', checkpoint = '{}')",
        checkpoint.display()
    );
    let outputs = session.sql(&insert).await?;
    let took = began.elapsed();
    for output in outputs {
        if let StatementOutput::Query(query) = output {
            query.stop().await?;
        }
    }
    Ok(took)
}

/// Windows over many events, with a watermark that evicts them and without: the output is the same, the state is not.
async fn bounded_state(events: u64) -> Result<()> {
    let (evicted, kept) = (windows(events, true).await?, windows(events, false).await?);
    println!("\n{} bids in windows of ten seconds, {} output rows", evicted.input, evicted.output);
    println!("with a watermark at most {} groups, {} bytes of state", evicted.groups, evicted.bytes);
    println!("without one {} groups, {} bytes of state", kept.groups, kept.bytes);
    if (evicted.hash, evicted.output) == (kept.hash, kept.output) {
        return Ok(());
    }
    Err(Error::internal("eviction has changed the output"))
}

/// What a run gave, and the most that it held.
#[derive(Debug, Default)]
struct Seen {
    input: u64,
    output: usize,
    hash: u64,
    groups: u64,
    bytes: u64,
}

struct Watcher(Arc<Mutex<Seen>>);

impl StreamingQueryListener for Watcher {
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        if let Ok(mut seen) = self.0.lock() {
            let bytes: u64 = progress.state_operators.iter().map(|o| o.memory_used_bytes).sum();
            seen.bytes = seen.bytes.max(bytes);
            seen.groups = seen.groups.max(progress.state_rows());
            seen.input += progress.num_input_rows;
        }
    }
}

async fn windows(events: u64, with_watermark: bool) -> Result<Seen> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let output = Arc::clone(&seen);
    let session = Session::builder()
        .listener(Arc::new(Watcher(Arc::clone(&seen))))
        .console(Arc::new(NoConsole))
        .on_output(Arc::new(move |batch| {
            let Ok(mut seen) = output.lock() else { return };
            for part in batch.parts {
                let text =
                    format_table(batch.schema, std::slice::from_ref(&part.rows), TableLayout::default());
                let mut hasher = DefaultHasher::new();
                (seen.hash, text.unwrap_or_default()).hash(&mut hasher);
                (seen.hash, seen.output) = (hasher.finish(), seen.output + part.rows.num_rows());
            }
        }))
        .build()?;
    let watermark =
        if with_watermark { ", WATERMARK FOR date_time AS date_time - INTERVAL '1' MINUTE" } else { "" };
    let text = format!(
        "CREATE STREAM bid (auction BIGINT, price BIGINT, date_time TIMESTAMP(3){watermark})
         WITH (connector = 'nexmark', table = 'bid', events = '{events}', events_per_second = '10000', max_rows_per_batch = '20000');
         SELECT window(date_time, '10 seconds') AS w, auction % 100 AS k, count(*) AS n, max(price) AS top
         FROM bid GROUP BY window(date_time, '10 seconds'), auction % 100 EMIT UPDATE"
    );
    wait(session.sql(&text).await?).await?;
    let mut seen = seen.lock().map_err(|_| Error::internal("a listener has panicked"))?;
    Ok(std::mem::take(&mut *seen))
}

async fn wait(outputs: Vec<StatementOutput>) -> Result<()> {
    for output in outputs {
        if let StatementOutput::Query(query) = output {
            query.await_termination().await?;
        }
    }
    Ok(())
}

/// Files below a directory, and their bytes.
fn size(directory: &Path) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(directory) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(files, bytes), entry| {
        let (more, larger) = match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => (1, metadata.len()),
            Err(_) => (0, 0),
        };
        (files + more, bytes + larger)
    })
}

/// Resident memory of the process where the system tells it, otherwise 0.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

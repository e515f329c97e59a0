//! Nexmark queries over Parquet files, one file per micro-batch, beside the one-shot batch query of the same run.
//!
//! ```text
//! cargo bench --bench nexmark                     # 50 files of 20,000 bids
//! cargo bench --bench nexmark -- 50 100000        # files, bids per file
//! ```
//! Prints rows per second of both, and the ratio, which is the figure to compare between machines.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use acequia::{OutputMode, Result, Session, StatementOutput, Trigger};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name, what is streamed, and the same over a static table.
const QUERIES: &[(&str, &str, OutputMode)] = &[
    ("q0 pass through", "SELECT auction, bidder, price, date_time, extra FROM bid", OutputMode::Append),
    (
        "q1 currency",
        "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
        OutputMode::Append,
    ),
    ("q2 filter", "SELECT auction, price FROM bid WHERE auction % 123 = 0", OutputMode::Append),
    (
        "q12 tumbling count",
        "SELECT bidder, count(*) AS n FROM bid GROUP BY bidder, window(date_time, '10 seconds')",
        OutputMode::Append,
    ),
    (
        "q17 per auction",
        "SELECT auction, count(*) AS n, min(price), max(price), avg(price), sum(price) FROM bid GROUP BY auction",
        OutputMode::Update,
    ),
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let (files, rows) = (numbers.next().unwrap_or(50), numbers.next().unwrap_or(20_000));
    let directory = std::env::temp_dir().join(format!("acequia-nexmark-{files}-{rows}"));
    generate(&directory, files, rows).await?;
    println!("{files} micro-batches of {rows} bids");
    println!("{:<20} {:>14} {:>14} {:>7}", "query", "stream rows/s", "batch rows/s", "ratio");
    for (name, query, mode) in QUERIES {
        let streamed = best_of(3, || stream(&directory, query, *mode)).await?;
        let batch = best_of(3, || batch(&directory, query)).await?;
        let per_second = |took: Duration| (files * rows) as f64 / took.as_secs_f64();
        let ratio = per_second(streamed) / per_second(batch);
        println!("{name:<20} {:>14.0} {:>14.0} {ratio:>7.2}", per_second(streamed), per_second(batch));
    }
    Ok(())
}

async fn best_of<F: Future<Output = Result<Duration>>>(runs: usize, run: impl Fn() -> F) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        best = best.min(run().await?);
    }
    Ok(best)
}

/// Writes the bids as Parquet, unless an earlier run has.
async fn generate(directory: &Path, files: usize, rows: usize) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    let session = Session::new()?;
    let partial = directory.with_extension("partial");
    let _ = std::fs::remove_dir_all(&partial);
    // 46 of 50 events are bids.
    let events = (files * rows).div_ceil(46) * 50;
    let batch = rows.div_ceil(46) * 50;
    let text = format!(
        "CREATE STREAM bid WITH (connector = 'nexmark', table = 'bid', events = '{events}', max_rows_per_batch = '{batch}');
         CREATE SINK files WITH (connector = 'parquet', path = '{}');
         INSERT INTO files SELECT * FROM bid",
        partial.display()
    );
    wait(session.sql(&text).await?).await?;
    std::fs::rename(&partial, directory).map_err(|e| acequia::Error::unavailable(e.to_string()))
}

async fn stream(directory: &Path, query: &str, mode: OutputMode) -> Result<Duration> {
    let session = Session::new()?;
    let text = format!(
        "CREATE STREAM bid (WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)
         WITH (connector = 'file', format = 'parquet', path = '{}', max_files_per_batch = '1')",
        directory.display()
    );
    session.sql(&text).await?;
    let frame = session.frame(query).await?;
    let started = Instant::now();
    let writer = frame.write_stream().format("blackhole").output_mode(mode).trigger(Trigger::AvailableNow);
    writer.start().await?.await_termination().await?;
    Ok(started.elapsed())
}

async fn batch(directory: &Path, query: &str) -> Result<Duration> {
    let session = Session::new()?;
    let place = format!("{}/", directory.display());
    session.sql(&format!("CREATE EXTERNAL TABLE bid STORED AS PARQUET LOCATION '{place}'")).await?;
    let started = Instant::now();
    session.sql(query).await?;
    Ok(started.elapsed())
}

async fn wait(outputs: Vec<StatementOutput>) -> Result<()> {
    for output in outputs {
        if let StatementOutput::Query(query) = output {
            query.await_termination().await?;
        }
    }
    Ok(())
}

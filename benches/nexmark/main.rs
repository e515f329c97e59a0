//! Nexmark queries over Parquet files, one file per micro-batch, beside DataFusion's one-shot batch query over the same
//! files in the same run, each on all cores and on one.
//!
//! ```text
//! cargo bench --bench nexmark                              # 50 files of 200,000 rows
//! cargo bench --bench nexmark -- --files 50 --rows 20000   # smaller ones
//! cargo bench --bench nexmark -- --only q12,keys           # some of the queries
//! cargo bench --bench nexmark -- --stateful                # joins, windows, DISTINCT, top rows; 50 files of 50,000 bids
//! cargo bench --bench nexmark -- --one-core                # also on one core (needs `taskset`)
//! cargo bench --bench nexmark -- --sources                 # the generator itself, and JSON files
//! ```
//! Ratios are the figures to compare between machines: `ratio` is stream over batch, `cores` how much faster all cores
//! are than one, `first` and `last` the median milliseconds of a batch in the first and the last fifth of them. Every
//! figure is the best of five runs, or of as many as take a minute. Streams of stateless queries declare no watermark:
//! it would have its column read, which the batch query does not.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use acequia::{OutputMode, Result, Session, StatementOutput, Trigger};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod queries;

use queries::{QUERIES, Query, STATEFUL};

/// The allocator of the `acequia` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 5;

/// No run begins after so long.
const ENOUGH: Duration = Duration::from_secs(60);

/// Fewer files of JSON than of Parquet: they take much more room.
const JSON_FILES: usize = 10;

/// What files hold.
#[derive(Clone, Copy, PartialEq)]
enum Data {
    Bids,
    Auctions,
    People,
    /// Five million keys, evenly spread.
    Keys,
}

impl Data {
    const ALL: [Self; 4] = [Self::Bids, Self::Auctions, Self::People, Self::Keys];

    fn stream(self) -> &'static str {
        match self {
            Self::Bids => "bid",
            Self::Auctions => "auction",
            Self::People => "person",
            Self::Keys => "keyed",
        }
    }

    /// How many of 46 rows for a file of bids its own files have.
    fn share(self) -> usize {
        match self {
            Self::Bids | Self::Keys => 46,
            Self::Auctions => 3,
            Self::People => 1,
        }
    }
}

#[derive(Clone)]
struct Arguments {
    files: usize,
    rows: usize,
    only: Vec<String>,
    stateful: bool,
    one_core: bool,
    sources: bool,
    /// Runs one query, as a stream or as a batch, and prints its time: what the one-core figures are made with.
    child: Option<String>,
}

impl Arguments {
    fn parse() -> Self {
        let all: Vec<String> = std::env::args().skip(1).collect();
        let of = |name: &str| all.iter().position(|a| a == name).and_then(|at| all.get(at + 1)).cloned();
        let number = |name: &str, default| of(name).and_then(|n| n.parse().ok()).unwrap_or(default);
        let stateful = all.iter().any(|a| a == "--stateful");
        Self {
            files: number("--files", 50),
            rows: number("--rows", if stateful { 50_000 } else { 200_000 }),
            stateful,
            only: of("--only")
                .map(|names| names.split(',').map(ToString::to_string).collect())
                .unwrap_or_default(),
            one_core: all.iter().any(|a| a == "--one-core"),
            sources: all.iter().any(|a| a == "--sources"),
            child: of("--child"),
        }
    }

    fn wants(&self, query: &Query) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == query.name)
    }

    fn queries(&self) -> impl Iterator<Item = &'static Query> {
        let all = if self.stateful { STATEFUL } else { QUERIES };
        all.iter().filter(|query| self.wants(query))
    }

    fn directory(&self, data: Data) -> PathBuf {
        let name = match data {
            Data::Bids => "bids",
            Data::Auctions => "auctions",
            Data::People => "people",
            Data::Keys => "keys",
        };
        std::env::temp_dir().join(format!("acequia-nexmark-{name}-{}-{}", self.files, self.rows))
    }

    /// About how many rows a query reads.
    fn rows_of(&self, query: &Query) -> usize {
        query.streams.iter().map(|data| self.files * self.rows * data.share() / 46).sum()
    }

    fn per_second(&self, query: &Query, took: Duration) -> f64 {
        self.rows_of(query) as f64 / took.as_secs_f64()
    }
}

/// How long a run took, and each of its batches, in milliseconds.
struct Run {
    took: Duration,
    batches: Vec<f64>,
}

impl Run {
    /// Medians of the first and the last fifth of batches.
    fn ends(&self) -> Option<(f64, f64)> {
        let fifth = self.batches.len().div_ceil(5);
        let median = |part: &[f64]| {
            let mut part = part.to_vec();
            part.sort_by(f64::total_cmp);
            part.get(part.len() / 2).copied()
        };
        let last = self.batches.len() - fifth;
        Some((median(&self.batches[..fifth])?, median(&self.batches[last..])?))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(kind) = &arguments.child {
        for query in arguments.queries() {
            println!("{}", run(&arguments, query, kind == "stream").await?.took.as_nanos());
        }
        return Ok(());
    }
    if arguments.sources {
        return sources(&arguments).await;
    }
    for data in Data::ALL {
        if arguments.queries().any(|query| query.streams.contains(&data)) {
            generate(&arguments, data).await?;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    println!("{} micro-batches of {} rows, {cores} cores; rows a second", arguments.files, arguments.rows);
    print!(
        "{:<6}{:<22} {:>12} {:>12} {:>6} {:>8} {:>8}",
        "query", "", "stream", "batch", "ratio", "first", "last"
    );
    let of_one_core = "   1 core: stream        batch  ratio  cores (batch's)";
    println!("{}", if arguments.one_core { of_one_core } else { "" });
    for query in arguments.queries() {
        compare(&arguments, query).await?;
    }
    Ok(())
}

/// Prints the line of a query.
async fn compare(arguments: &Arguments, query: &Query) -> Result<()> {
    let streamed = run(arguments, query, true).await?;
    let (first, last) = streamed.ends().unwrap_or_default();
    let stream = arguments.per_second(query, streamed.took);
    let batch = arguments.per_second(query, run(arguments, query, false).await?.took);
    let ratio = stream / batch;
    print!("{:<6}{:<22} {stream:>12.0} {batch:>12.0} {ratio:>6.2}", query.name, query.title);
    print!(" {first:>8.2} {last:>8.2}");
    if arguments.one_core {
        let one_stream = arguments.per_second(query, on_one_core(arguments, query, "stream")?);
        let one_batch = arguments.per_second(query, on_one_core(arguments, query, "batch")?);
        let (ratio, gain, batch_gain) = (one_stream / one_batch, stream / one_stream, batch / one_batch);
        print!("   {one_stream:>14.0} {one_batch:>12.0} {ratio:>6.2} {gain:>6.2} ({batch_gain:.2})");
    }
    println!();
    Ok(())
}

/// The best of some runs.
async fn run(arguments: &Arguments, query: &Query, streaming: bool) -> Result<Run> {
    let started = Instant::now();
    let mut best = Run { took: Duration::MAX, batches: Vec::new() };
    for _ in 0..RUNS {
        let run = match streaming {
            true => stream(arguments, query).await?,
            false => Run { took: batch(arguments, query).await?, batches: Vec::new() },
        };
        if run.took < best.took {
            best = run;
        }
        if started.elapsed() > ENOUGH {
            break;
        }
    }
    Ok(best)
}

/// The same in a process that may use one core only.
fn on_one_core(arguments: &Arguments, query: &Query, kind: &str) -> Result<Duration> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(std::env::current_exe()?);
    command.args(["--child", kind, "--only", query.name]);
    command.args(arguments.stateful.then_some("--stateful"));
    command.args(["--files", &arguments.files.to_string(), "--rows", &arguments.rows.to_string()]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let nanos = text.trim().parse().map_err(|_| acequia::Error::data(format!("a run failed: {output:?}")))?;
    Ok(Duration::from_nanos(nanos))
}

async fn stream(arguments: &Arguments, query: &Query) -> Result<Run> {
    let watermark = match query.watermark {
        true => "(WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)",
        false => "",
    };
    let create = |data: &Data| {
        format!(
            "CREATE STREAM {} {watermark}
             WITH (connector = 'file', format = 'parquet', path = '{}', max_files_per_batch = '1')",
            data.stream(),
            arguments.directory(*data).display()
        )
    };
    let streams: Vec<String> = query.streams.iter().map(create).collect();
    drained(&streams.join(";"), &query.streamed(), query.mode).await
}

/// How long a query takes over all that its streams have.
async fn drained(streams: &str, query: &str, mode: OutputMode) -> Result<Run> {
    let session = Session::new()?;
    session.sql(streams).await?;
    let frame = session.frame(query).await?;
    let started = Instant::now();
    let writer = frame.write_stream().format("blackhole").output_mode(mode);
    let query = writer.trigger(Trigger::AvailableNow).start().await?;
    query.await_termination().await?;
    let took = started.elapsed();
    let batches = query.recent_progress().iter().map(|batch| batch.duration_ms.trigger_execution).collect();
    Ok(Run { took, batches })
}

/// What sources give when nearly nothing is done with their rows.
async fn sources(arguments: &Arguments) -> Result<()> {
    let few = Arguments { files: arguments.files.min(JSON_FILES), ..arguments.clone() };
    let json = std::env::temp_dir().join(format!("acequia-nexmark-json-{}-{}", few.files, few.rows));
    if !json.exists() {
        let partial = json.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        write(
            &few,
            Data::Bids,
            &format!("connector = 'file', format = 'json', path = '{}'", partial.display()),
        )
        .await?;
        fs::rename(&partial, &json)?;
    }
    let files = format!(
        "CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
           date_time TIMESTAMP(3), extra STRING)
         WITH (connector = 'file', format = 'json', path = '{}', max_files_per_batch = '1')",
        json.display()
    );
    let q0 = QUERIES[0].streamed();
    let all = "SELECT * FROM bid";
    println!("{:<34} {:>12}", "source", "rows/s");
    for (title, stream, query, arguments) in [
        ("generator, all columns", &generator(arguments, Data::Bids), all, arguments),
        ("generator, q0", &generator(arguments, Data::Bids), q0.as_str(), arguments),
        ("JSON files, all columns", &files, all, &few),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            best = best.min(drained(stream, query, OutputMode::Append).await?.took);
        }
        println!("{title:<34} {:>12.0}", (arguments.files * arguments.rows) as f64 / best.as_secs_f64());
    }
    Ok(())
}

/// DataFusion alone, with its own settings; its result is dropped as it comes, like that of the stream.
async fn batch(arguments: &Arguments, query: &Query) -> Result<Duration> {
    let context = SessionContext::new();
    for data in query.streams {
        let place = format!("{}/", arguments.directory(*data).display());
        let options = ParquetReadOptions::default();
        context.register_parquet(data.stream(), &place, options).await.map_err(failed)?;
    }
    let started = Instant::now();
    let frame = context.sql(&query.batched()).await.map_err(failed)?;
    let mut rows = frame.execute_stream().await.map_err(failed)?;
    while rows.try_next().await.map_err(failed)?.is_some() {}
    Ok(started.elapsed())
}

fn failed(error: impl std::fmt::Display) -> acequia::Error {
    acequia::Error::internal(error.to_string())
}

/// Writes the rows as Parquet, unless an earlier run has.
async fn generate(arguments: &Arguments, data: Data) -> Result<()> {
    let directory = arguments.directory(data);
    if directory.exists() {
        return Ok(());
    }
    let partial = directory.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    match data {
        Data::Keys => generate_keys(&partial, arguments)?,
        _ => {
            let sink = format!("connector = 'parquet', path = '{}'", partial.display());
            write(arguments, data, &sink).await?;
        }
    }
    Ok(fs::rename(&partial, directory)?)
}

/// The rows of as many events as the bids of all files have, from the generator.
fn generator(arguments: &Arguments, data: Data) -> String {
    // 46 of 50 events are bids.
    let events = (arguments.files * arguments.rows).div_ceil(46) * 50;
    let batch = arguments.rows.div_ceil(46) * 50;
    format!(
        "CREATE STREAM {0} WITH
         (connector = 'nexmark', table = '{0}', events = '{events}', max_rows_per_batch = '{batch}')",
        data.stream()
    )
}

async fn write(arguments: &Arguments, data: Data, sink: &str) -> Result<()> {
    let session = Session::new()?;
    let (stream, name) = (generator(arguments, data), data.stream());
    let text = format!("{stream}; CREATE SINK files WITH ({sink}); INSERT INTO files SELECT * FROM {name}");
    for output in session.sql(&text).await? {
        if let StatementOutput::Query(query) = output {
            query.await_termination().await?;
        }
    }
    Ok(())
}

fn generate_keys(directory: &Path, arguments: &Arguments) -> Result<()> {
    fs::create_dir_all(directory)?;
    let mut random = SmallRng::seed_from_u64(5);
    for file in 0..arguments.files {
        let keys = (0..arguments.rows).map(|_| random.random_range(0..5_000_000_i64));
        let keys: ArrayRef = Arc::new(keys.collect::<Int64Array>());
        let values: ArrayRef = Arc::new((0..arguments.rows as i64).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter([("k", keys), ("v", values)])?;
        let output = File::create(directory.join(format!("part-{file:05}.parquet")))?;
        let mut writer = ArrowWriter::try_new(output, batch.schema(), None).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        writer.close().map_err(failed)?;
    }
    Ok(())
}

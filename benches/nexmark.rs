//! Nexmark queries over Parquet files, one file per micro-batch, beside DataFusion's one-shot batch query over the same
//! files in the same run, each on all cores and on one.
//!
//! ```text
//! cargo bench --bench nexmark                              # 50 files of 200,000 rows
//! cargo bench --bench nexmark -- --files 50 --rows 20000   # smaller ones
//! cargo bench --bench nexmark -- --only q12,keys           # some of the queries
//! cargo bench --bench nexmark -- --one-core                # also on one core (needs `taskset`)
//! cargo bench --bench nexmark -- --sources                 # the generator itself, and JSON files
//! ```
//! Ratios are the figures to compare between machines: `ratio` is stream over batch, `cores` how much faster all cores
//! are than one. Every figure is the best of five runs. Streams of stateless queries declare no watermark: it would
//! have its column read, which the batch query does not.

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

/// The allocator of the `acequia` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 5;

/// Fewer files of JSON than of Parquet: they take much more room.
const JSON_FILES: usize = 10;

struct Query {
    name: &'static str,
    title: &'static str,
    /// The files that it reads, and the name of its stream.
    data: Data,
    stream: &'static str,
    /// The same for DataFusion, where it has to be written in another way.
    batch: Option<&'static str>,
    mode: OutputMode,
}

#[derive(Clone, Copy, PartialEq)]
enum Data {
    Bids,
    /// Five million keys, evenly spread.
    Keys,
}

impl Data {
    fn stream(self) -> &'static str {
        match self {
            Self::Bids => "bid",
            Self::Keys => "keyed",
        }
    }
}

const F1: &str = "price < 10000";
const DAY: &str = "date_trunc('day', date_time)";

/// Queries without a form of their own for batch are plain SQL.
const QUERIES: &[Query] = &[
    Query {
        name: "q0",
        title: "pass through",
        data: Data::Bids,
        stream: "SELECT auction, bidder, price, date_time, extra FROM bid",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "q1",
        title: "currency",
        data: Data::Bids,
        stream: "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "q2",
        title: "filter",
        data: Data::Bids,
        stream: "SELECT auction, price FROM bid WHERE auction % 123 = 0",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "q12",
        title: "tumbling count",
        data: Data::Bids,
        stream: "SELECT bidder, count(*) AS n FROM bid GROUP BY bidder, window(date_time, '10 seconds')",
        batch: Some(
            "SELECT bidder, count(*) AS n FROM bid
             GROUP BY bidder, date_bin(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01')",
        ),
        mode: OutputMode::Append,
    },
    Query {
        name: "q14",
        title: "expressions",
        data: Data::Bids,
        stream: "SELECT auction, bidder, 0.908 * price AS price,
               CASE WHEN date_part('hour', date_time) BETWEEN 8 AND 18 THEN 'dayTime'
                    WHEN date_part('hour', date_time) <= 6 OR date_part('hour', date_time) >= 20 THEN 'nightTime'
                    ELSE 'otherTime' END AS bid_time_type,
               date_time, extra, char_length(extra) - char_length(replace(extra, 'c', '')) AS c_counts
             FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "q17",
        title: "auctions by day",
        data: Data::Bids,
        stream: "SELECT auction, DAY AS day, count(*) AS n, count(*) FILTER (WHERE F1) AS cheap,
               count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
               count(*) FILTER (WHERE price >= 1000000) AS dear,
               min(price), max(price), avg(price), sum(price) FROM bid GROUP BY auction, DAY",
        batch: None,
        mode: OutputMode::Update,
    },
    Query {
        name: "q21",
        title: "channel id",
        data: Data::Bids,
        stream: "SELECT auction, bidder, price, channel,
               CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'
                    WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3'
                    ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] END AS channel_id
             FROM bid WHERE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] IS NOT NULL
               OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "q22",
        title: "directories of a url",
        data: Data::Bids,
        stream: "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1,
               split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid",
        batch: None,
        mode: OutputMode::Append,
    },
    Query {
        name: "keys",
        title: "5 M keys",
        data: Data::Keys,
        stream: "SELECT k, count(*) AS n, sum(v) AS v FROM keyed GROUP BY k",
        batch: None,
        mode: OutputMode::Update,
    },
];

impl Query {
    fn streamed(&self) -> String {
        self.stream.replace("DAY", DAY).replace("F1", F1)
    }

    fn batched(&self) -> String {
        self.batch.map_or_else(|| self.streamed(), ToString::to_string)
    }
}

#[derive(Clone)]
struct Arguments {
    files: usize,
    rows: usize,
    only: Vec<String>,
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
        Self {
            files: number("--files", 50),
            rows: number("--rows", 200_000),
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

    fn directory(&self, data: Data) -> PathBuf {
        let name = if data == Data::Bids { "bids" } else { "keys" };
        std::env::temp_dir().join(format!("acequia-nexmark-{name}-{}-{}", self.files, self.rows))
    }

    fn per_second(&self, took: Duration) -> f64 {
        (self.files * self.rows) as f64 / took.as_secs_f64()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let queries: Vec<&Query> = QUERIES.iter().filter(|query| arguments.wants(query)).collect();
    if let Some(kind) = &arguments.child {
        for query in queries {
            println!("{}", run(&arguments, query, kind == "stream").await?.as_nanos());
        }
        return Ok(());
    }
    if arguments.sources {
        return sources(&arguments).await;
    }
    for data in [Data::Bids, Data::Keys] {
        if queries.iter().any(|query| query.data == data) {
            generate(&arguments, data).await?;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    println!("{} micro-batches of {} rows, {cores} cores; rows a second", arguments.files, arguments.rows);
    print!("{:<6}{:<22} {:>12} {:>12} {:>6}", "query", "", "stream", "batch", "ratio");
    println!(
        "{}",
        if arguments.one_core { "   1 core: stream        batch  ratio  cores (batch's)" } else { "" }
    );
    for query in queries {
        let stream = arguments.per_second(run(&arguments, query, true).await?);
        let batch = arguments.per_second(run(&arguments, query, false).await?);
        print!("{:<6}{:<22} {stream:>12.0} {batch:>12.0} {:>6.2}", query.name, query.title, stream / batch);
        if arguments.one_core {
            let one_stream = arguments.per_second(on_one_core(&arguments, query, "stream")?);
            let one_batch = arguments.per_second(on_one_core(&arguments, query, "batch")?);
            let (ratio, gain, batch_gain) = (one_stream / one_batch, stream / one_stream, batch / one_batch);
            print!("   {one_stream:>14.0} {one_batch:>12.0} {ratio:>6.2} {gain:>6.2} ({batch_gain:.2})");
        }
        println!();
    }
    Ok(())
}

/// The best of some runs.
async fn run(arguments: &Arguments, query: &Query, streaming: bool) -> Result<Duration> {
    let directory = arguments.directory(query.data);
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        best = best.min(match streaming {
            true => stream(&directory, query).await?,
            false => batch(&directory, query).await?,
        });
    }
    Ok(best)
}

/// The same in a process that may use one core only.
fn on_one_core(arguments: &Arguments, query: &Query, kind: &str) -> Result<Duration> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(std::env::current_exe()?);
    command.args(["--child", kind, "--only", query.name]);
    command.args(["--files", &arguments.files.to_string(), "--rows", &arguments.rows.to_string()]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let nanos = text.trim().parse().map_err(|_| acequia::Error::data(format!("a run failed: {output:?}")))?;
    Ok(Duration::from_nanos(nanos))
}

async fn stream(directory: &Path, query: &Query) -> Result<Duration> {
    let name = query.data.stream();
    let watermark = match query.title {
        "tumbling count" => "(WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND)",
        _ => "",
    };
    let text = format!(
        "CREATE STREAM {name} {watermark}
         WITH (connector = 'file', format = 'parquet', path = '{}', max_files_per_batch = '1')",
        directory.display()
    );
    drained(&text, &query.streamed(), query.mode).await
}

/// How long a query takes over all that its stream has.
async fn drained(stream: &str, query: &str, mode: OutputMode) -> Result<Duration> {
    let session = Session::new()?;
    session.sql(stream).await?;
    let frame = session.frame(query).await?;
    let started = Instant::now();
    let writer = frame.write_stream().format("blackhole").output_mode(mode);
    writer.trigger(Trigger::AvailableNow).start().await?.await_termination().await?;
    Ok(started.elapsed())
}

/// What sources give when nearly nothing is done with their rows.
async fn sources(arguments: &Arguments) -> Result<()> {
    let few = Arguments { files: arguments.files.min(JSON_FILES), ..arguments.clone() };
    let json = std::env::temp_dir().join(format!("acequia-nexmark-json-{}-{}", few.files, few.rows));
    if !json.exists() {
        let partial = json.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        write_bids(&few, &format!("connector = 'file', format = 'json', path = '{}'", partial.display()))
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
        ("generator, all columns", &generator(arguments), all, arguments),
        ("generator, q0", &generator(arguments), q0.as_str(), arguments),
        ("JSON files, all columns", &files, all, &few),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            best = best.min(drained(stream, query, OutputMode::Append).await?);
        }
        println!("{title:<34} {:>12.0}", arguments.per_second(best));
    }
    Ok(())
}

/// DataFusion alone, with its own settings; its result is dropped as it comes, like that of the stream.
async fn batch(directory: &Path, query: &Query) -> Result<Duration> {
    let context = SessionContext::new();
    let name = query.data.stream();
    let place = format!("{}/", directory.display());
    let options = ParquetReadOptions::default();
    context.register_parquet(name, &place, options).await.map_err(failed)?;
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
        Data::Bids => {
            let sink = format!("connector = 'parquet', path = '{}'", partial.display());
            write_bids(arguments, &sink).await?;
        }
        Data::Keys => generate_keys(&partial, arguments)?,
    }
    Ok(fs::rename(&partial, directory)?)
}

/// As many bids as all files have, from the generator.
fn generator(arguments: &Arguments) -> String {
    // 46 of 50 events are bids.
    let events = (arguments.files * arguments.rows).div_ceil(46) * 50;
    let batch = arguments.rows.div_ceil(46) * 50;
    format!(
        "CREATE STREAM bid WITH
         (connector = 'nexmark', table = 'bid', events = '{events}', max_rows_per_batch = '{batch}')"
    )
}

async fn write_bids(arguments: &Arguments, sink: &str) -> Result<()> {
    let session = Session::new()?;
    let stream = generator(arguments);
    let text = format!("{stream}; CREATE SINK files WITH ({sink}); INSERT INTO files SELECT * FROM bid");
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

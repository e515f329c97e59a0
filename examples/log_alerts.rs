//! Watches a web server's log: an alert for each page and minute with too many errors, and a report of the pages.
//!
//! ```text
//! cargo run --release --example log_alerts                 # over the log in examples/data
//! cargo run --release --example log_alerts -- DIRECTORY    # over yours, in the common log format
//! ```

#![allow(clippy::print_stdout, reason = "an example prints")]

use acequia::prelude::*;
use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Request {
    page: String,
    status: u16,
    bytes: u64,
    at: NaiveDateTime,
}

/// `host - user [time] "GET page HTTP/1.1" status bytes`; nothing for a line that is something else.
fn request(line: String) -> Option<Request> {
    let (_, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once("] \"")?;
    let (call, rest) = rest.split_once("\" ")?;
    let mut numbers = rest.split_whitespace();
    Some(Request {
        page: call.split_whitespace().nth(1)?.to_string(),
        status: numbers.next()?.parse().ok()?,
        bytes: numbers.next()?.parse().unwrap_or(0),
        at: DateTime::parse_from_str(time, "%d/%b/%Y:%H:%M:%S %z").ok()?.naive_utc(),
    })
}

/// What an alert says.
#[derive(Serialize, Deserialize)]
struct Alert {
    since: NaiveDateTime,
    page: String,
    requests: i64,
    errors: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "examples/data/logs".to_string());
    let session = Session::new()?;
    let lines =
        session.read_stream().file("text", directory).option("max_files_per_batch", "1").load().await?;
    let requests =
        lines.as_dataset::<String>()?.flat_map(request)?.with_watermark("at", "10 seconds")?.into_frame()?;

    let failed = col("status").gt_eq(lit(500));
    let alerts = requests
        .clone()
        .group_by(vec![window(col("at"), "1 minute"), col("page")])
        .agg(vec![count(lit(1)).alias("requests"), count(lit(1)).filter(failed).build()?.alias("errors")])?
        .filter_expr("errors >= 3 AND errors * 2 > requests")?
        .select_expr(&["window.start AS since", "page", "requests", "errors"])?;
    let alerts = alerts.write_stream().query_name("alerts").trigger(Trigger::AvailableNow).foreach_batch(
        |batch| async move {
            let mut alerts = batch.values::<Alert>()?;
            alerts.sort_by(|a, b| (a.since, &a.page).cmp(&(b.since, &b.page)));
            for Alert { since, page, requests, errors } in alerts {
                println!(
                    "ALERT {}: {errors} of {requests} requests for {page} failed",
                    since.format("%H:%M")
                );
            }
            Ok::<_, acequia::UserError>(())
        },
    );
    alerts.await?.await_termination().await?;

    let pages = requests
        .group_by(vec![col("page")])
        .agg(vec![count(lit(1)).alias("requests"), sum(col("bytes")).alias("bytes")])?;
    let report =
        pages.sort(vec![col("requests").sort(false, false), col("page").sort(true, false)])?.write_stream();
    let report =
        report.output_mode(OutputMode::Complete).trigger(Trigger::AvailableNow).to_table("report").await?;
    report.await_termination().await?;
    for (page, requests, bytes) in session
        .frame("SELECT page AS _1, requests AS _2, bytes AS _3 FROM report ORDER BY requests DESC, page")
        .await?
        .as_dataset::<(String, i64, u64)>()?
        .collect()
        .await?
    {
        println!("{page:<12} {requests:>3} requests {bytes:>7} bytes");
    }
    Ok(())
}

//! The three most used hashtags of the last ten minutes, each minute.
//!
//! ```text
//! cargo run --release --example top_hashtags                 # over the tweets in examples/data
//! cargo run --release --example top_hashtags -- DIRECTORY    # over yours: JSON lines with `text` and `at`
//! ```

#![allow(clippy::print_stdout, reason = "an example prints")]

use acequia::prelude::*;
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Tweet {
    text: String,
    at: NaiveDateTime,
}

fn hashtags(tweet: Tweet) -> Vec<String> {
    let tags = tweet.text.split_whitespace().filter(|word| word.starts_with('#'));
    tags.map(|tag| tag.trim_end_matches(|c: char| !c.is_alphanumeric()).to_lowercase()).collect()
}

#[tokio::main]
async fn main() -> acequia::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "examples/data/tweets".to_string());
    let session = Session::new()?;
    let rows =
        session.read_stream().file("json", directory).option("max_files_per_batch", "1").load().await?;
    let tags = rows
        .cast("at", DataType::Timestamp(TimeUnit::Microsecond, None))?
        .with_watermark("at", "10 seconds")?
        .as_dataset::<Tweet>()?
        .flat_map(hashtags)?
        .sliding_window("10 minutes", "1 minute")?
        .count_by_value()?;

    let query = tags.write_stream()?.trigger(Trigger::AvailableNow).foreach_batch(|batch| async move {
        let mut windows: BTreeMap<Window, Vec<(i64, String)>> = BTreeMap::new();
        for (window, tag, count) in batch.values()? {
            windows.entry(window).or_default().push((count, tag));
        }
        for (window, mut tags) in windows {
            tags.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            let top: Vec<String> = tags.into_iter().take(3).map(|(n, tag)| format!("{tag} {n}")).collect();
            println!("until {}: {}", window.end.format("%H:%M"), top.join(", "));
        }
        Ok::<_, acequia::UserError>(())
    });
    query.await?.await_termination().await
}

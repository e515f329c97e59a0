//! SIGKILL at random moments: nothing is lost, nothing comes twice, and what is there at any moment is right.

use crate::process::{Acequia, lines, parquet, rows, until, within};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::{Duration, Instant};

const KILLS: usize = 20;

const BIDS: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '30000', events_per_second = '20', max_rows_per_batch = '250', seed = '7');
";

const WINDOWS: &str = "
SELECT window(date_time, '1 minute')['start'] AS s, auction % 3 AS part, count(*) AS n, max(price) AS high, count(DISTINCT bidder) AS bidders
FROM b GROUP BY window(date_time, '1 minute'), auction % 3";

const COLUMNS: &str = "s, n, high, bidders, part";

fn statements() -> String {
    format!(
        "{BIDS}
CREATE SINK windows WITH (connector = 'parquet', path = 'windows', partition_by = 'part');
CREATE SINK cheap WITH (connector = 'file', format = 'json', path = 'cheap', compact = 'true');
INSERT INTO windows {WINDOWS} EMIT APPEND WITH (name = 'windows', checkpoint = 'checkpoints/windows');
INSERT INTO cheap SELECT * FROM b WHERE price < 1000 EMIT APPEND WITH (name = 'cheap', checkpoint = 'checkpoints/cheap');
"
    )
}

/// The closed windows and the cheap bids of a batch query over the same rows.
fn batch_answer(directory: &Path) -> (Vec<String>, usize) {
    let raw = format!(
        "{BIDS} CREATE SINK raw WITH (connector = 'parquet', path = 'raw'); INSERT INTO raw SELECT * FROM b EMIT APPEND;"
    )
    .replace("'250'", "'100000'");
    Acequia::run(directory, &raw).finish();
    let table =
        format!("CREATE EXTERNAL TABLE b STORED AS PARQUET LOCATION '{}/';", directory.join("raw").display());
    let closed = "s + INTERVAL '1 minute' <= (SELECT max(date_time) - INTERVAL '5 seconds' FROM b)";
    let windows = rows(&format!("{table} SELECT {COLUMNS} FROM ({WINDOWS}) WHERE {closed}"));
    let cheap = rows(&format!("{table} SELECT * FROM b WHERE price < 1000")).len();
    (windows, cheap)
}

#[test]
fn killed_twenty_times_the_output_is_that_of_the_batch_query() {
    let (undisturbed, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Acequia::run(undisturbed.path(), &statements()).finish();
    let all_cheap = lines(&undisturbed.path().join("cheap"));
    let (all_windows, cheap) = batch_answer(undisturbed.path());
    assert_eq!(parquet(&undisturbed.path().join("windows"), COLUMNS), all_windows);
    assert_eq!(all_cheap.len(), cheap);
    assert!(all_windows.len() > 50 && cheap > 500, "windows={} cheap={cheap}", all_windows.len());

    let mut random = SmallRng::seed_from_u64(11);
    let (windows, cheap) = (killed.path().join("windows"), killed.path().join("cheap"));
    let commits = |query: &str| {
        let log = killed.path().join("checkpoints").join(query).join("commits");
        std::fs::read_dir(log).map_or(0, |names| {
            names.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).max().unwrap_or(0_u64)
        })
    };
    let mut kills = 0;
    for kill in 0..KILLS {
        let mut run = Acequia::run(killed.path(), &statements());
        // Most lives get somewhere, some do not.
        let goal = commits("windows") + random.random_range(0..5);
        until("batches are committed", || commits("windows") >= goal || run.ended().is_some());
        let moment = Instant::now() + Duration::from_micros(random.random_range(0..30_000));
        until("the moment has come", || Instant::now() >= moment);
        kills += usize::from(run.kill());
        let seen = parquet(&windows, COLUMNS);
        assert!(within(&seen, &all_windows), "after kill {kill}: {seen:?}");
        let seen = lines(&cheap);
        assert!(within(&seen, &all_cheap), "after kill {kill}: {} lines", seen.len());
    }
    assert!(kills > KILLS / 2, "{kills} kills, then there was nothing left to do");
    Acequia::run(killed.path(), &statements()).finish();
    assert_eq!(parquet(&windows, COLUMNS), all_windows);
    assert_eq!(lines(&cheap), all_cheap);
}

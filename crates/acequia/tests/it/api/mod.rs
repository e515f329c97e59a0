//! The Rust API: what SQL cannot show.

mod frames;
mod keyed_state;
mod typed;
mod watching;
mod writing;

use acequia::arrow::array::RecordBatch;
use acequia::arrow::util::pretty::pretty_format_batches;
use acequia::prelude::*;

/// A session with streams and a table for the tests.
async fn session() -> Session {
    let session = Session::new().unwrap();
    session
        .sql(
            "CREATE STREAM sales (shop VARCHAR, item VARCHAR, price BIGINT, tags VARCHAR[], at TIMESTAMP(3), WATERMARK FOR at);
             CREATE STREAM visits (shop VARCHAR, who VARCHAR, seen TIMESTAMP(3), WATERMARK FOR seen);
             CREATE TABLE cities (shop VARCHAR, city VARCHAR) AS VALUES ('north', 'Oslo'), ('south', 'Roma'), (NULL, 'none')",
        )
        .await
        .unwrap();
    session
}

/// Rows of both streams, in several batches.
async fn fill(session: &Session) {
    for rows in [
        "sales VALUES ('north', 'tea', 3, ['a', 'b'], '2026-01-01 10:00:00'), ('south', 'tea', 4, [], '2026-01-01 10:00:10')",
        "visits VALUES ('north', 'Ann', '2026-01-01 10:00:05'), (NULL, 'Bo', '2026-01-01 10:00:20')",
        "sales VALUES ('north', 'pie', NULL, NULL, '2026-01-01 10:07:00'), (NULL, 'tea', 5, ['c'], '2026-01-01 10:08:00'), ('north', 'tea', 3, ['a', 'b'], '2026-01-01 10:00:00')",
        "visits VALUES ('north', 'Cy', '2026-01-01 10:30:00'), ('south', 'Ann', '2026-01-01 10:00:30')",
        "sales VALUES ('south', 'jam', 9, ['d', 'd'], '2026-01-01 11:00:00')",
    ] {
        session.sql(&format!("INSERT INTO {rows}")).await.unwrap();
        session.process_all_available().await.unwrap();
    }
}

/// Rows as text, sorted.
fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> =
        table.lines().filter(|line| line.starts_with('|')).skip(1).map(squeezed).collect();
    lines.sort();
    lines
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a table.
async fn table(session: &Session, name: &str) -> Vec<String> {
    lines(&session.table(name).await.unwrap().collect().await.unwrap())
}

//! The promises of [`Source`], checked over an implementation.

use super::concat;
use crate::{Advance, Offset, OffsetRange, ReadMetrics, Result, Source, SourceContext};
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use std::future::Future;
use std::sync::Arc;

/// How a suite gets at the source under test.
pub trait Fixture {
    /// Opens the source over the same input again, as after a restart.
    fn open(&self, context: SourceContext) -> impl Future<Output = Result<Box<dyn Source>>>;
    /// Adds some rows to the input, at least one; returns when [`Source::next_offset`] can see them.
    fn feed(&mut self) -> impl Future<Output = ()>;
    /// Whether the input is over by itself after what was fed (a bounded source).
    fn bounded(&self) -> bool {
        false
    }
}

/// Runs every check.
///
/// # Panics
/// When a promise is broken, naming it.
pub async fn run(mut fixture: impl Fixture) {
    let context = super::memory_context();
    let mut source = fixture.open(context.clone()).await.expect("the source opens");
    let mut taken: Vec<(OffsetRange, RecordBatch)> = vec![];
    for _ in 0..3 {
        fixture.feed().await;
        let before = taken.len();
        drain(source.as_mut(), &mut taken, true).await;
        assert!(fixture.bounded() || taken.len() > before, "rows that were fed are offered by next_offset");
    }
    assert!(!taken.is_empty(), "the source gives at least one batch");

    same_range_same_rows(source.as_ref(), &taken).await;
    projection_is_kept(source.as_ref(), &taken).await;
    drop(source);

    let mut reopened = fixture.open(context.clone()).await.expect("the source opens again");
    same_range_same_rows(reopened.as_ref(), &taken).await;

    let (last, _) = taken.last().unwrap();
    reopened.commit(&last.end).await.expect("commit succeeds");
    reopened.commit(&last.end).await.expect("commit is idempotent");

    drop(reopened);
    let mut reopened = fixture.open(context).await.expect("the source opens after a commit");
    fixture.feed().await;
    reopened.stop_at_available(Some(&last.end)).await.expect("stop_at_available succeeds");
    let mut rest = vec![(last.clone(), taken.last().unwrap().1.clone())];
    drain(reopened.as_mut(), &mut rest, false).await;
    assert!(fixture.bounded() || rest.len() > 1, "stop_at_available keeps what was there before it");
    let end = Some(&rest.last().unwrap().0.end);
    let advance = reopened.next_offset(end).await.expect("next_offset succeeds");
    assert_eq!(advance, Advance::Ended, "a source stopped at what is available ends after it");
}

/// Takes batches until nothing is there; `idle` says whether the source may go on later.
async fn drain(source: &mut dyn Source, taken: &mut Vec<(OffsetRange, RecordBatch)>, idle: bool) {
    loop {
        let start = taken.last().map(|(range, _)| range.end.clone());
        match source.next_offset(start.as_ref()).await.expect("next_offset succeeds") {
            Advance::To { end, .. } => {
                assert_ne!(Some(&end), start.as_ref(), "an advance moves the offset");
                let range = OffsetRange { start, end: round_trip(&end) };
                let rows = read(source, &range, None).await;
                taken.push((range, rows));
            }
            Advance::Idle => return assert!(idle, "a source stopped at what is available is never idle"),
            Advance::Ended => return,
        }
        assert!(taken.len() < 10_000, "the source comes to an end of what was fed");
    }
}

fn round_trip(offset: &Offset) -> Offset {
    serde_json::from_str(&serde_json::to_string(offset).unwrap()).unwrap()
}

async fn read(source: &dyn Source, range: &OffsetRange, projection: Option<&[usize]>) -> RecordBatch {
    let schema = match projection {
        Some(columns) => Arc::new(source.schema().project(columns).unwrap()),
        None => source.schema(),
    };
    let metrics = Arc::new(ReadMetrics::default());
    let mut batches = vec![];
    for split in source.plan_splits(range).await.expect("plan_splits succeeds") {
        let sent = serde_json::from_str(&serde_json::to_string(&split).unwrap()).unwrap();
        let stream = source.reader().read(&sent, projection, &metrics).expect("read succeeds");
        batches.extend(stream.try_collect::<Vec<_>>().await.expect("reading succeeds"));
    }
    let rows = concat(&schema, &batches);
    assert_eq!(metrics.rows(), rows.num_rows() as u64, "rows read are counted");
    rows
}

async fn same_range_same_rows(source: &dyn Source, taken: &[(OffsetRange, RecordBatch)]) {
    for (range, rows) in taken {
        assert_eq!(&read(source, range, None).await, rows, "the same range gives the same rows: {range:?}");
    }
}

async fn projection_is_kept(source: &dyn Source, taken: &[(OffsetRange, RecordBatch)]) {
    let (range, rows) = &taken[0];
    let reversed: Vec<usize> = (0..rows.num_columns()).rev().collect();
    assert_eq!(
        read(source, range, Some(&reversed)).await,
        rows.project(&reversed).unwrap(),
        "a projection is kept, in its order"
    );
    let none = read(source, range, Some(&[])).await;
    assert_eq!(none.num_rows(), rows.num_rows(), "rows are counted even without any column");
}

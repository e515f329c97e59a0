//! Large batches in parts: each part goes through an island, and what follows it, on a thread of the pool.
//!
//! Parts keep their order, and how rows are cut into them depends on nothing but the rows and their record batches.

use super::workers;
use crate::error::into_datafusion;
use crate::exec::cores;
use crate::plan::{IslandTemplate, Slot};
use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a part, unless they take more than [`PART_BYTES`].
const PART_ROWS: usize = 32 * 1024;

/// A part is full when its record batches take so much memory.
const PART_BYTES: usize = 16 << 20;

/// Parts with fewer rows are computed where they are: that takes no longer than a hand-over to another thread.
const SMALL_ROWS: usize = 4 * 1024;

/// An island that computes row by row, and the slot that feeds it.
pub(super) type RowWise = (Arc<IslandTemplate>, Arc<Slot>);

/// Rows through an island, if there is one, and then through `f`, a record batch at a time. `f` is told whether the
/// reader is busy: whether it has parts to take that are done.
pub(super) fn in_parts<T: Send + 'static>(
    rows: SendableRecordBatchStream,
    island: Option<RowWise>,
    f: impl Fn(RecordBatch, bool) -> Result<T> + Clone + Send + Sync + 'static,
) -> impl Stream<Item = Result<T>> + Send {
    let schema = rows.schema();
    let waiting: Arc<AtomicUsize> = Arc::default();
    let taken = Arc::clone(&waiting);
    let computed = parts(rows).map(move |part| {
        let (island, schema, f) = (island.clone(), Arc::clone(&schema), f.clone());
        let waiting = Arc::clone(&waiting);
        async move {
            let part = part?;
            let small = part.iter().map(RecordBatch::num_rows).sum::<usize>() < SMALL_ROWS;
            let rows = super::execute::stream_of(schema, part);
            let rows = match island {
                Some((template, slot)) => {
                    // The slot is emptied when the run begins, so that the next part finds it free.
                    slot.fill(rows);
                    template.run()?
                }
                None => rows,
            };
            let done = async move {
                let busy = || waiting.load(Ordering::Relaxed) > 0;
                let done = rows.map(|batch| f(batch?, busy())).try_collect::<Vec<T>>().await;
                waiting.fetch_add(1, Ordering::Relaxed);
                done
            };
            if small || cores() < 2 {
                done.await
            } else {
                workers::compute(done).await.map_err(into_datafusion)?
            }
        }
    });
    let done = computed.buffered(cores() + 1).inspect_ok(move |_| {
        taken.fetch_sub(1, Ordering::Relaxed);
    });
    done.map_ok(|part| stream::iter(part.into_iter().map(Ok))).try_flatten()
}

/// The rows in parts.
fn parts(rows: SendableRecordBatchStream) -> impl Stream<Item = Result<Vec<RecordBatch>>> + Send {
    stream::try_unfold((rows, None::<RecordBatch>), |(mut rows, mut rest)| async move {
        let (mut part, mut count, mut bytes) = (vec![], 0, 0);
        while count < PART_ROWS && bytes < PART_BYTES {
            let next = match rest.take() {
                Some(rest) => Some(rest),
                None => rows.try_next().await?,
            };
            let Some(mut batch) = next else { break };
            let room = PART_ROWS - count;
            if batch.num_rows() > room {
                rest = Some(batch.slice(room, batch.num_rows() - room));
                batch = batch.slice(0, room);
            }
            count += batch.num_rows();
            bytes += batch.get_array_memory_size();
            part.push(batch);
        }
        Ok((!part.is_empty()).then_some((part, (rows, rest))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::execute::stream_of;
    use super::*;
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use datafusion::arrow::array::AsArray;

    fn batch(from: i64, rows: i64) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(from..from + rows)) as _)])
            .unwrap()
    }

    #[tokio::test]
    async fn parts_keep_the_order_of_rows_whatever_their_batches() {
        let sizes = [0, 1, 70_000, 8_192, 8_192, 24_577, 5, 100_000];
        let mut from = 0;
        let batches = sizes.map(|rows| {
            from += rows;
            batch(from - rows, rows)
        });
        let rows = stream_of(batches[0].schema(), batches.to_vec());
        let given: Vec<RecordBatch> = in_parts(rows, None, |rows, _| Ok(rows)).try_collect().await.unwrap();
        let numbers = given.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec());
        assert!(numbers.eq(0..from), "rows are lost or out of order");
        let rows = stream_of(batches[0].schema(), batches.to_vec());
        let sizes: Vec<usize> = parts(rows)
            .map_ok(|part| part.iter().map(RecordBatch::num_rows).sum::<usize>())
            .try_collect()
            .await
            .unwrap();
        assert!(sizes[..sizes.len() - 1].iter().all(|rows| *rows == PART_ROWS), "{sizes:?}");
    }

    #[tokio::test]
    async fn the_first_error_in_order_is_told() {
        let rows = stream_of(batch(0, 1).schema(), vec![batch(0, 200_000)]);
        let fails = |batch: RecordBatch, _| {
            let first = batch.column(0).as_primitive::<Int64Type>().value(0);
            if first == 0 { Ok(()) } else { Err(datafusion::common::exec_datafusion_err!("at {first}")) }
        };
        let error = in_parts(rows, None, fails).try_collect::<Vec<()>>().await.unwrap_err();
        assert!(error.to_string().contains(&format!("at {PART_ROWS}")), "{error}");
    }
}

//! What sources that compute their rows have in common: a start time that is fixed once, instants in options, and
//! reading a range of numbers in steps.

use super::store;
use acequia_core::{Error, Options, ReadMetrics, RecordStream, Result, SourceContext, Timestamp};
use arrow::array::RecordBatch;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use futures::stream;
use std::ops::Range;
use std::sync::Arc;

/// The object that holds the start time.
const START: &str = "start";

/// The time of the query's first start: written once, read by every later run, so that a restart goes on.
pub(crate) async fn start_time(context: &SourceContext) -> Result<Timestamp> {
    let now = context.clock.now();
    let text = serde_json::to_vec(&now).map_err(|e| Error::internal(e.to_string()))?;
    if store::create(&context.store, START, text.into()).await? == store::Created::Now {
        return Ok(now);
    }
    let bytes = store::read(&context.store, START).await?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::data(format!("start time in the checkpoint is damaged: object=`{START}`: {e}")))
}

/// Takes an instant, as `2015-07-15 00:00:00`; in UTC unless it says otherwise.
pub(crate) fn take_instant(options: &mut Options, key: &str) -> Result<Option<Timestamp>> {
    let Some(text) = options.take(key)? else { return Ok(None) };
    match string_to_datetime(&chrono::Utc, text.trim()) {
        Ok(time) => Ok(Some(Timestamp(time.timestamp_micros()))),
        Err(_) => Err(options.bad_value(key, &text, "an instant, as '2015-07-15 00:00:00'")),
    }
}

/// Reads `range` in steps of at most `step` numbers, each made into a batch when it is asked for.
pub(crate) fn read_range(
    range: Range<u64>,
    step: u64,
    metrics: &Arc<ReadMetrics>,
    mut make: impl FnMut(Range<u64>) -> Result<RecordBatch> + Send + 'static,
) -> RecordStream {
    let metrics = Arc::clone(metrics);
    let mut next = range.start;
    let batches = std::iter::from_fn(move || {
        if next >= range.end {
            return None;
        }
        let end = range.end.min(next + step);
        let batch = make(next..end);
        next = end;
        Some(batch.inspect(|b| metrics.add_rows(b.num_rows())))
    });
    Box::pin(stream::iter(batches))
}

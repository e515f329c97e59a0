//! `rate`: a counter with timestamps, for trying things out and for measuring.
//!
//! Two paces. By the clock: at time t after the start exactly `floor(f(t))` rows exist, where f grows by
//! `rows_per_second`, after a linear ramp over `ramp_up_time`; row n carries the time at which f reaches n. The start is
//! the query's first, kept in the checkpoint. By batches (`rows_per_batch`, Spark's `rate-micro-batch`): every batch has
//! the same number of rows, whose timestamps advance by `advance_per_batch` from batch to batch; nothing depends on the
//! clock. Either way a row is a function of its number, which is the offset, so any range can be read at any time.

use super::columns::ColumnMap;
use super::generated::{read_range, start_time, take_instant};
use super::{Connector, SourceDescription, SourceSpec};
use acequia_core::{
    Advance, Clock, Error, Offset, OffsetRange, ReadMetrics, RecordStream, Result, Source, SourceContext,
    Split, SplitReader, Timestamp,
};
use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use std::ops::Range;
use std::sync::Arc;

const NAME: &str = "rate";

/// Rows of one Arrow batch.
const CHUNK_ROWS: u64 = 8192;

/// Microseconds in a second.
const SECOND: u128 = 1_000_000;

/// How rows come into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// With the clock; times in microseconds.
    Clock { rows_per_second: u64, ramp_up: u64 },
    /// With every batch; times in microseconds.
    Batches { rows_per_batch: u64, advance: u64 },
}

impl Pace {
    /// Rows that exist so long after the start.
    fn rows_after(self, elapsed: u64) -> u64 {
        let Self::Clock { rows_per_second, ramp_up } = self else { return u64::MAX };
        let (rate, ramp, t) = (u128::from(rows_per_second), u128::from(ramp_up), u128::from(elapsed));
        let rows = if t < ramp {
            // Saturates only for a ramp of millennia.
            rate.saturating_mul(t * t) / (2 * ramp * SECOND)
        } else {
            rate.saturating_mul(2 * t - ramp) / (2 * SECOND)
        };
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// When a row came into being, in microseconds after the start: the first moment at which `rows_after`, before
    /// rounding down, reaches the row's number.
    fn time_of(self, row: u64) -> u64 {
        let row = u128::from(row);
        let time = match self {
            Self::Batches { rows_per_batch, advance } => {
                row / u128::from(rows_per_batch) * u128::from(advance)
            }
            Self::Clock { rows_per_second, ramp_up } => {
                let (rate, ramp) = (u128::from(rows_per_second), u128::from(ramp_up));
                if row * 2 * SECOND < rate * ramp {
                    ceil_sqrt((2 * SECOND * ramp).saturating_mul(row).div_ceil(rate))
                } else {
                    (2 * SECOND * row).saturating_add(rate * ramp).div_ceil(2 * rate)
                }
            }
        };
        u64::try_from(time).unwrap_or(u64::MAX)
    }
}

fn ceil_sqrt(n: u128) -> u128 {
    let root = n.isqrt();
    if root * root == n { root } else { root + 1 }
}

/// The options, checked.
#[derive(Debug, Clone)]
struct RateOptions {
    pace: Pace,
    start: Option<Timestamp>,
    total: Option<u64>,
    max_rows: Option<u64>,
}

impl RateOptions {
    fn take(spec: &SourceSpec) -> Result<Self> {
        let mut options = spec.options();
        let rows_per_batch = options.take_count("rows_per_batch")?;
        let pace = match rows_per_batch {
            Some(rows_per_batch) => {
                let advance = options.take_interval("advance_per_batch")?;
                Pace::Batches { rows_per_batch, advance: advance.map_or(SECOND, |d| d.as_micros()) as u64 }
            }
            None => {
                let rows_per_second = options.take_count("rows_per_second")?.unwrap_or(1);
                let ramp_up = options.take_interval("ramp_up_time")?.unwrap_or_default();
                Pace::Clock { rows_per_second, ramp_up: ramp_up.as_micros() as u64 }
            }
        };
        let mut start = take_instant(&mut options, "start_time")?;
        if rows_per_batch.is_some() {
            start = start.or(Some(Timestamp(0)));
        }
        let total = options.take_count("num_rows")?;
        let max_rows = options.take_count("max_rows_per_batch")?;
        options.finish()?;
        spec.check_metadata(NAME, &[])?;
        Ok(Self { pace, start, total, max_rows })
    }
}

fn produced() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("value", DataType::Int64, true),
    ]))
}

/// The connector `rate`.
#[derive(Debug)]
pub(crate) struct RateConnector;

#[async_trait]
impl Connector for RateConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription> {
        let options = RateOptions::take(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &produced())?;
        Ok(SourceDescription { schema: Arc::clone(columns.schema()), bounded: options.total.is_some() })
    }

    async fn open(&self, spec: &SourceSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let options = RateOptions::take(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &produced())?;
        let start = match options.start {
            Some(start) => start,
            None => start_time(&context).await?,
        };
        let reader = Arc::new(RateReader { pace: options.pace, start, columns });
        Ok(Box::new(RateSource { options, reader, clock: context.clock, stop: None }))
    }
}

/// The driver's side. The offset is the number of rows so far.
#[derive(Debug)]
struct RateSource {
    options: RateOptions,
    reader: Arc<RateReader>,
    clock: Arc<dyn Clock>,
    stop: Option<u64>,
}

impl RateSource {
    /// Rows that may be read now, if `after` were the last one read.
    fn available(&self, after: u64) -> u64 {
        let rows = match self.options.pace {
            Pace::Batches { rows_per_batch, .. } => after.saturating_add(rows_per_batch),
            Pace::Clock { .. } => {
                let elapsed = self.clock.now().0.saturating_sub(self.reader.start.0);
                self.options.pace.rows_after(u64::try_from(elapsed).unwrap_or(0))
            }
        };
        rows.min(self.last())
    }

    /// The number of rows after which nothing comes.
    fn last(&self) -> u64 {
        self.stop.unwrap_or(u64::MAX).min(self.options.total.unwrap_or(u64::MAX))
    }
}

fn rows_at(offset: Option<&Offset>) -> Result<u64> {
    offset.map_or(Ok(0), Offset::decode)
}

#[async_trait]
impl Source for RateSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.reader.columns.schema())
    }

    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance> {
        let taken = rows_at(start)?;
        if taken >= self.last() {
            return Ok(Advance::Ended);
        }
        let limit = taken.saturating_add(self.options.max_rows.unwrap_or(u64::MAX));
        let end = self.available(taken).min(limit);
        if end <= taken {
            return Ok(Advance::Idle);
        }
        Ok(Advance::To { end: Offset::encode(&end)?, step: None })
    }

    async fn stop_at_available(&mut self, start: Option<&Offset>) -> Result<()> {
        // Rows by batches are all there from the start; of endless ones that is one more batch.
        self.stop = Some(match (&self.options.pace, self.options.total) {
            (Pace::Batches { .. }, Some(total)) => total,
            _ => self.available(rows_at(start)?),
        });
        Ok(())
    }

    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>> {
        Ok(vec![Split::encode(&(rows_at(range.start.as_ref())?..range.end.decode::<u64>()?))?])
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::clone(&self.reader) as _
    }

    async fn commit(&mut self, _end: &Offset) -> Result<()> {
        Ok(())
    }
}

/// The worker's side.
#[derive(Debug)]
struct RateReader {
    pace: Pace,
    start: Timestamp,
    columns: ColumnMap,
}

impl SplitReader for RateReader {
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream> {
        let rows: Range<u64> = split.decode()?;
        let columns = self.columns.project(projection)?;
        let (pace, start) = (self.pace, self.start);
        Ok(read_range(rows, CHUNK_ROWS, metrics, move |rows| {
            let produced = columns.produced().iter().map(|c| column(*c, pace, start, &rows));
            columns.batch(produced.collect::<Result<_>>()?, (rows.end - rows.start) as usize)
        }))
    }
}

fn column(index: usize, pace: Pace, start: Timestamp, rows: &Range<u64>) -> Result<ArrayRef> {
    match index {
        0 => {
            let time = |row| start.0.saturating_add_unsigned(pace.time_of(row)).div_euclid(1000);
            Ok(Arc::new(TimestampMillisecondArray::from_iter_values(rows.clone().map(time))))
        }
        1 => Ok(Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64)))),
        other => Err(Error::internal(format!("rate has no column {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_times_agree_with_counting_second_by_second() {
        for (rows_per_second, seconds) in [(1, 0), (10, 4), (7, 3), (1_000_000, 10)] {
            let pace = Pace::Clock { rows_per_second, ramp_up: seconds * 1_000_000 };
            let half = u128::from(rows_per_second) * u128::from(seconds);
            assert_eq!(u128::from(pace.rows_after(seconds * 1_000_000)), half / 2, "the ramp is half of it");
            for t in (0..20_000_000).step_by(7919) {
                let rows = pace.rows_after(t);
                assert!(pace.time_of(rows) <= t, "a row that is complete at t has come by t");
                assert!(pace.time_of(rows + 1) > t, "exactly floor(f(t)) rows are complete at t");
            }
        }
    }

    #[test]
    fn steady_rate_is_exact() {
        let pace = Pace::Clock { rows_per_second: 3, ramp_up: 0 };
        assert_eq!([0, 333_333, 333_334, 999_999, 1_000_000].map(|t| pace.rows_after(t)), [0, 0, 1, 2, 3]);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let pace = Pace::Clock { rows_per_second: u64::MAX, ramp_up: u64::MAX / 2 };
        assert!(pace.rows_after(u64::MAX) > 0 && pace.time_of(u64::MAX) > 0);
        let pace = Pace::Batches { rows_per_batch: 1, advance: u64::MAX };
        assert_eq!(pace.time_of(u64::MAX), u64::MAX);
    }
}

//! `nexmark`: the stream of people, auctions and bids of the Nexmark benchmark, in process.
//!
//! Every event is a function of (seed, event number): any range can be made at any place, and the three tables of one
//! seed belong together. The offset of each table is a number of events of all kinds, so that batches of the three
//! cover the same stretch of the stream. Rules, constants and average sizes are those of nexmark/nexmark, with one
//! intended difference: the original adds the first person's id to `bid.bidder` twice, so that bidders never match the
//! people whom they were drawn from; here it is added once, and `bid.bidder = person.id` joins match.
//!
//! Rows come as fast as they are taken; `paced = 'true'` lets them appear with the clock, at `events_per_second`.

mod events;
mod generator;
mod random;
mod tables;

use super::columns::ColumnMap;
use super::generated::{read_range, start_time, take_instant};
use super::{Connector, SourceDescription, SourceSpec};
use acequia_core::{
    Advance, Clock, Error, Offset, OffsetRange, ReadMetrics, RecordStream, Result, Source, SourceContext,
    Split, SplitReader, Timestamp,
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use events::Schedule;
use generator::Generator;
use std::ops::Range;
use std::sync::Arc;
use tables::Table;

const NAME: &str = "nexmark";

/// Rows of one Arrow batch, about.
const CHUNK_ROWS: u64 = 8192;

/// Positions of one split, so that several readers can share a batch.
const SPLIT_EVENTS: u64 = 65_536;

/// No stream is longer, so that no sum of ids or times can overflow.
const MAX_EVENTS: u64 = 1 << 50;

/// Events per batch when nothing else is said.
const DEFAULT_MAX_ROWS: u64 = 100_000;

/// 2015-07-15T00:00:00Z, the base time of the original.
const DEFAULT_BASE: Timestamp = Timestamp(1_436_918_400_000_000);

/// The options, checked.
#[derive(Debug, Clone)]
struct NexmarkOptions {
    table: Table,
    seed: u64,
    schedule: Schedule,
    bounded: bool,
    paced: bool,
    max_rows: u64,
}

impl NexmarkOptions {
    fn take(spec: &SourceSpec) -> Result<Self> {
        let mut options = spec.options();
        let written = options.require("table")?;
        let what = format!("value of option `table` of stream `{}`", spec.name);
        let unknown = || acequia_core::options::unknown(&what, &written, Table::WORDS);
        let table = Table::from_word(&written.trim().to_lowercase()).ok_or_else(unknown)?;
        let total = options.take_count("events")?;
        if let Some(n) = total.filter(|n| *n > MAX_EVENTS) {
            return Err(options.bad_value("events", &n.to_string(), &format!("at most {MAX_EVENTS}")));
        }
        let schedule = Schedule {
            base_millis: take_instant(&mut options, "base_time")?.unwrap_or(DEFAULT_BASE).0.div_euclid(1000),
            events_per_second: options.take_count("events_per_second")?.unwrap_or(10_000),
            group: take_group(&mut options)?,
            total: total.unwrap_or(MAX_EVENTS),
        };
        let taken = Self {
            table,
            schedule,
            seed: options.take_parsed("seed", "a whole number")?.unwrap_or(0),
            bounded: total.is_some(),
            paced: options.take_bool("paced", false)?,
            max_rows: options.take_count("max_rows_per_batch")?.unwrap_or(DEFAULT_MAX_ROWS),
        };
        options.finish()?;
        spec.check_metadata(NAME, &[])?;
        Ok(taken)
    }
}

/// Groups of a multiple of 953 would not be permuted but collapse.
fn take_group(options: &mut acequia_core::Options) -> Result<u64> {
    const KEY: &str = "out_of_order_group_size";
    let group = options.take_count(KEY)?.unwrap_or(1);
    if group % events::SHUFFLE == 0 || group > u64::from(u32::MAX) {
        let expected = format!("below 2^32 and no multiple of {}", events::SHUFFLE);
        return Err(options.bad_value(KEY, &group.to_string(), &expected));
    }
    Ok(group)
}

/// The connector `nexmark`.
#[derive(Debug)]
pub(crate) struct NexmarkConnector;

#[async_trait]
impl Connector for NexmarkConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription> {
        let options = NexmarkOptions::take(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &options.table.schema())?;
        Ok(SourceDescription { schema: Arc::clone(columns.schema()), bounded: options.bounded })
    }

    async fn open(&self, spec: &SourceSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let options = NexmarkOptions::take(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &options.table.schema())?;
        let started = if options.paced { Some(start_time(&context).await?) } else { None };
        let generator = Arc::new(Generator::new(options.schedule, options.seed));
        let reader = Arc::new(NexmarkReader { table: options.table, generator, columns });
        let (schedule, max_rows) = (options.schedule, options.max_rows);
        Ok(Box::new(NexmarkSource { schedule, max_rows, reader, started, clock: context.clock, stop: None }))
    }
}

/// The driver's side. The offset is the number of events so far, of all kinds.
#[derive(Debug)]
struct NexmarkSource {
    schedule: Schedule,
    max_rows: u64,
    reader: Arc<NexmarkReader>,
    started: Option<Timestamp>,
    clock: Arc<dyn Clock>,
    stop: Option<u64>,
}

impl NexmarkSource {
    /// Events that have come.
    fn available(&self) -> u64 {
        let Some(started) = self.started else { return self.schedule.total };
        let elapsed = u128::from(self.clock.now().0.saturating_sub(started.0).max(0).unsigned_abs());
        let events = elapsed * u128::from(self.schedule.events_per_second) / 1_000_000;
        u64::try_from(events).unwrap_or(u64::MAX).min(self.schedule.total)
    }
}

fn events_at(offset: Option<&Offset>) -> Result<u64> {
    offset.map_or(Ok(0), Offset::decode)
}

#[async_trait]
impl Source for NexmarkSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.reader.columns.schema())
    }

    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance> {
        let taken = events_at(start)?;
        let last = self.stop.unwrap_or(self.schedule.total);
        if taken >= last {
            return Ok(Advance::Ended);
        }
        let end = self.available().min(last).min(taken.saturating_add(self.max_rows));
        if end <= taken {
            return Ok(Advance::Idle);
        }
        Ok(Advance::To { end: Offset::encode(&end)?, step: None })
    }

    /// Without a clock and an end everything is available at once: one more batch is taken.
    async fn stop_at_available(&mut self, start: Option<&Offset>) -> Result<()> {
        let available = self.available();
        let endless = available == MAX_EVENTS;
        let one_more = events_at(start)?.saturating_add(self.max_rows);
        self.stop = Some(if endless { available.min(one_more) } else { available });
        Ok(())
    }

    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>> {
        let (start, end) = (events_at(range.start.as_ref())?, range.end.decode::<u64>()?);
        if end > self.schedule.total {
            return Err(Error::data(format!(
                "offset is beyond the last event: offset={end} events={}; was the option `events` lowered?",
                self.schedule.total
            )));
        }
        let mut splits = vec![];
        let mut from = start;
        while from < end {
            let to = end.min(from + SPLIT_EVENTS.max(events::positions_for(self.reader.table, CHUNK_ROWS)));
            splits.push(Split::encode(&(from..to))?);
            from = to;
        }
        Ok(splits)
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
struct NexmarkReader {
    table: Table,
    generator: Arc<Generator>,
    columns: ColumnMap,
}

impl SplitReader for NexmarkReader {
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream> {
        let positions: Range<u64> = split.decode()?;
        let columns = self.columns.project(projection)?;
        let (table, generator) = (self.table, Arc::clone(&self.generator));
        let step = events::positions_for(table, CHUNK_ROWS);
        Ok(read_range(positions, step, metrics, move |positions| {
            let (arrays, rows) = generator.columns(table, columns.produced(), positions)?;
            columns.batch(arrays, rows)
        }))
    }
}

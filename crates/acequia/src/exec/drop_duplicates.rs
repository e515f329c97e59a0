//! The first row of each key: `drop_duplicates` and `drop_duplicates_within_watermark`.
//!
//! Semantics are Spark's: of rows with equal keys (NULL equals NULL) the first to come passes, in the order of arrival,
//! so the answer may depend on how the input is cut. State: the row encoding of each key, about 50 bytes and the key,
//! and when it may be forgotten:
//! - never, without event time in the key;
//! - once no row of the key can come any more, when the key holds an event-time column;
//! - once the first row's event time plus the watermark's delay is passed, within the watermark.
//!
//! Rows below the watermark are late in the last two cases. Keys leave by an index of their expiry, never by visiting
//! all. Saved state: the table `keys`, the key columns and `expiry`.

use super::route::{RouteColumn, RouteValue};
use super::{BatchContext, Operator, TimeBound};
use acequia_core::state::{Stateful, TableDef, TableDelta, TableKind};
use acequia_core::{Error, OperatorId, Result, Watermark};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::row::{OwnedRow, Row, RowConverter, Rows, SortField};
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the state table.
const KEYS: &str = "keys";

/// The expiry of a key that is never forgotten.
const NEVER: i64 = i64::MAX;

/// When a key may be forgotten.
#[derive(Debug, Clone)]
pub enum Expiry {
    /// Never.
    Never,
    /// When this column, one of the key, is below the bound; rows below it are late.
    InKey {
        /// The column of the input.
        column: usize,
        /// What the watermark means for it.
        bound: TimeBound,
    },
    /// When the event time of the key's first row plus the delay is passed; rows below the bound are late.
    Within {
        /// The event-time column of the input.
        column: usize,
        /// The watermark's delay in microseconds.
        delay_micros: i64,
        /// What the watermark means for the column.
        bound: TimeBound,
    },
}

/// What the planner says.
#[derive(Debug, Clone)]
pub struct DropDuplicatesSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The columns of the rows, in and out.
    pub schema: SchemaRef,
    /// The columns of the key.
    pub columns: Vec<usize>,
    /// When keys are forgotten.
    pub expiry: Expiry,
}

impl DropDuplicatesSpec {
    /// The columns that tell shards apart: those of the key, its event time only if it is the only one.
    pub(super) fn routing(&self) -> Vec<RouteColumn> {
        let route = |(saved, column): (usize, &usize)| RouteColumn {
            column: *column,
            saved,
            value: RouteValue::Plain(self.schema.field(*column).data_type().clone()),
        };
        let all: Vec<RouteColumn> = self.columns.iter().enumerate().map(route).collect();
        let untimed = |route: &&RouteColumn| !matches!(self.expiry, Expiry::InKey { column, .. } if column == route.column);
        let untimed: Vec<RouteColumn> = all.iter().filter(untimed).cloned().collect();
        if untimed.is_empty() { all } else { untimed }
    }
}

/// See the [module](self).
pub struct DropDuplicatesOperator {
    spec: DropDuplicatesSpec,
    table: TableDef,
    converter: RowConverter,
    keys: HashMap<OwnedRow, i64>,
    by_expiry: BTreeMap<i64, Vec<OwnedRow>>,
    key_bytes: usize,
    output: Vec<RecordBatch>,
    unsaved: Vec<RecordBatch>,
    unsaved_eviction: Option<i64>,
    evicted_below: Option<i64>,
    in_batch: bool,
    late: u64,
}

impl DropDuplicatesOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for key types that cannot be compared.
    pub fn try_new(spec: DropDuplicatesSpec) -> Result<Self> {
        let key: Vec<&Field> = spec.columns.iter().map(|index| spec.schema.field(*index)).collect();
        let sorts = key.iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(sorts)
            .map_err(|e| Error::unsupported(format!("duplicates cannot be found by these columns: {e}")))?;
        let mut fields: Vec<Field> = key
            .iter()
            .enumerate()
            .map(|(i, f)| Field::new(format!("k{i}"), f.data_type().clone(), true))
            .collect();
        fields.push(Field::new("expiry", DataType::Int64, true));
        let table = TableDef {
            operator: spec.operator,
            name: KEYS.to_string(),
            kind: TableKind::Keyed { key_columns: key.len() },
            time_column: (!matches!(spec.expiry, Expiry::Never)).then_some(key.len()),
            schema: Arc::new(Schema::new(fields)),
        };
        Ok(Self {
            spec,
            table,
            converter,
            keys: HashMap::new(),
            by_expiry: BTreeMap::new(),
            key_bytes: 0,
            output: vec![],
            unsaved: vec![],
            unsaved_eviction: None,
            evicted_below: None,
            in_batch: false,
            late: 0,
        })
    }

    /// The bound below which keys are forgotten, in the unit of their expiry.
    fn forget_below(&self, watermark: Watermark) -> Result<Option<i64>> {
        match &self.spec.expiry {
            Expiry::Never => Ok(None),
            Expiry::InKey { bound, .. } => bound.at(watermark),
            Expiry::Within { .. } => Ok(watermark.micros().map(|micros| micros.saturating_add(1))),
        }
    }

    /// The rows on time, and the expiry of each one's key.
    fn on_time(&mut self, watermark: Watermark, batch: RecordBatch) -> Result<(RecordBatch, Vec<i64>)> {
        let (column, bound) = match &self.spec.expiry {
            Expiry::Never => {
                let expiries = vec![NEVER; batch.num_rows()];
                return Ok((batch, expiries));
            }
            Expiry::InKey { column, bound } | Expiry::Within { column, bound, .. } => {
                (*column, bound.at(watermark)?)
            }
        };
        let times = as_int64(batch.column(column))?;
        let batch = match bound {
            Some(bound) => {
                let on_time: BooleanArray =
                    times.iter().map(|t| Some(t.is_none_or(|t| t >= bound))).collect();
                self.late += (on_time.len() - on_time.true_count()) as u64;
                filter_record_batch(&batch, &on_time)?
            }
            None => batch,
        };
        let expiries = match &self.spec.expiry {
            Expiry::Within { delay_micros, .. } => {
                let micros = cast(batch.column(column), &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                as_int64(&micros)?
                    .iter()
                    .map(|t| t.map_or(NEVER, |t| t.saturating_add(*delay_micros)))
                    .collect()
            }
            _ => as_int64(batch.column(column))?.iter().map(|t| t.unwrap_or(NEVER)).collect(),
        };
        Ok((batch, expiries))
    }

    /// Keys as comparable bytes; 0.0 and -0.0 are one key, as in GROUP BY.
    fn encode(&self, keys: &[ArrayRef]) -> Result<Rows> {
        let keys: Vec<ArrayRef> = keys.iter().map(normalize_float_zero).collect();
        Ok(self.converter.convert_columns(&keys)?)
    }

    fn remember(&mut self, row: Row<'_>, expiry: i64) -> bool {
        let key = row.owned();
        let bytes = row.data().len();
        match self.keys.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(slot) => {
                if expiry != NEVER {
                    self.by_expiry.entry(expiry).or_default().push(slot.key().clone());
                }
                slot.insert(expiry);
                self.key_bytes += bytes;
                true
            }
        }
    }

    fn key_columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.spec.columns.iter().map(|index| Arc::clone(batch.column(*index))).collect()
    }

    /// Rows of the state table for these keys.
    fn state_batch(&self, keys: Vec<ArrayRef>, expiries: impl Iterator<Item = i64>) -> Result<RecordBatch> {
        let mut columns = keys;
        let expiry = Int64Array::from_iter(expiries.map(|e| (e != NEVER).then_some(e)));
        columns.push(Arc::new(expiry));
        Ok(RecordBatch::try_new(Arc::clone(&self.table.schema), columns)?)
    }
}

fn as_int64(times: &ArrayRef) -> Result<Int64Array> {
    let wide = match times.data_type() {
        DataType::Date32 => cast(&cast(times, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(times, &DataType::Int64)?,
    };
    wide.as_primitive_opt::<Int64Type>().cloned().ok_or_else(|| Error::internal("a time is not a number"))
}

impl Operator for DropDuplicatesOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn push(&mut self, context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
        let (batch, expiries) = self.on_time(context.late_watermark, batch)?;
        let rows = self.encode(&self.key_columns(&batch))?;
        let first: BooleanArray =
            rows.iter().zip(&expiries).map(|(row, expiry)| Some(self.remember(row, *expiry))).collect();
        let passed = filter_record_batch(&batch, &first)?;
        if passed.num_rows() == 0 {
            return Ok(());
        }
        if context.durable {
            let expiries =
                expiries.iter().zip(first.values()).filter(|(_, first)| *first).map(|(expiry, _)| *expiry);
            let unsaved = self.state_batch(self.key_columns(&passed), expiries)?;
            self.unsaved.push(unsaved);
        }
        self.output.push(passed);
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        if !std::mem::take(&mut self.in_batch) {
            self.late = 0;
        }
        if let Some(bound) = self.forget_below(context.watermark)?.filter(|b| Some(*b) > self.evicted_below) {
            self.evicted_below = Some(bound);
            let kept = self.by_expiry.split_off(&bound);
            let gone = std::mem::replace(&mut self.by_expiry, kept);
            for key in gone.into_values().flatten() {
                self.key_bytes -= key.row().data().len();
                self.keys.remove(&key);
            }
            self.unsaved_eviction = context.durable.then_some(bound);
        }
        Ok(std::mem::take(&mut self.output))
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        let first = self.by_expiry.first_key_value().map(|(expiry, _)| *expiry);
        match (first, self.forget_below(watermark)) {
            (Some(first), Ok(Some(bound))) => first < bound,
            _ => false,
        }
    }
}

impl Stateful for DropDuplicatesOperator {
    fn tables(&self) -> Vec<TableDef> {
        vec![self.table.clone()]
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let delta = TableDelta {
            table: self.table.clone(),
            upserts: std::mem::take(&mut self.unsaved),
            deletes: vec![],
            evict_below: self.unsaved_eviction.take(),
        };
        Ok(if delta.is_empty() { vec![] } else { vec![delta] })
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        if table != KEYS || rows.schema().fields().len() != self.table.schema.fields().len() {
            return Err(Error::data(format!(
                "state is not of this operator: drop_duplicates table=`{table}`"
            )));
        }
        let (expiry, keys) =
            rows.columns().split_last().ok_or_else(|| Error::data("state without columns"))?;
        let expiries = as_int64(expiry)?;
        let encoded = self.encode(keys)?;
        for (row, expiry) in encoded.iter().zip(&expiries) {
            self.remember(row, expiry.unwrap_or(NEVER));
        }
        Ok(())
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        if table != KEYS {
            return Err(acequia_core::options::unknown("state table", table, [KEYS]));
        }
        let keys = self.converter.convert_rows(self.keys.keys().map(OwnedRow::row))?;
        Ok(vec![self.state_batch(keys, self.keys.values().copied())?])
    }

    fn state_rows(&self) -> usize {
        self.keys.len()
    }

    fn state_bytes(&self) -> usize {
        self.key_bytes + self.keys.capacity() * (size_of::<OwnedRow>() + size_of::<i64>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::{BatchId, Timestamp};
    use arrow::array::TimestampMillisecondArray;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("k", DataType::Int64, true),
            Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        ]))
    }

    fn rows(rows: &[(Option<i64>, i64)]) -> RecordBatch {
        let keys = Int64Array::from_iter(rows.iter().map(|r| r.0));
        let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.1));
        RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(times)]).unwrap()
    }

    fn operator(columns: &[usize], expiry: Expiry) -> DropDuplicatesOperator {
        let spec = DropDuplicatesSpec {
            operator: OperatorId(0),
            schema: schema(),
            columns: columns.to_vec(),
            expiry,
        };
        DropDuplicatesOperator::try_new(spec).unwrap()
    }

    fn bound() -> TimeBound {
        TimeBound::new(|watermark| Ok(watermark.0.div_euclid(1_000)))
    }

    fn context(watermark_ms: Option<i64>) -> BatchContext {
        let watermark = Watermark(watermark_ms.map(|ms| Timestamp(ms * 1_000)));
        BatchContext {
            batch: BatchId(0),
            watermark,
            late_watermark: watermark,
            previous_watermark: Watermark(None),
            batch_time: Timestamp(0),
            durable: true,
        }
    }

    fn run(
        operator: &mut DropDuplicatesOperator,
        watermark: Option<i64>,
        batch: &[(Option<i64>, i64)],
    ) -> Vec<RecordBatch> {
        let context = context(watermark);
        operator.push(&context, 0, rows(batch)).unwrap();
        operator.finish(&context).unwrap()
    }

    #[test]
    fn the_first_row_of_a_key_passes_and_null_is_a_key() {
        let mut operator = operator(&[0], Expiry::Never);
        let passed = run(&mut operator, None, &[(Some(1), 1), (None, 2), (Some(1), 3), (None, 4)]);
        assert_eq!(passed, [rows(&[(Some(1), 1), (None, 2)])]);
        assert!(run(&mut operator, None, &[(Some(1), 5)]).is_empty());
    }

    #[test]
    fn a_key_with_event_time_is_forgotten_and_its_rows_are_late() {
        let mut operator = operator(&[0, 1], Expiry::InKey { column: 1, bound: bound() });
        run(&mut operator, None, &[(Some(1), 10), (Some(1), 20)]);
        assert_eq!(operator.state_rows(), 2);
        assert!(run(&mut operator, Some(15), &[(Some(1), 10), (Some(1), 20)]).is_empty());
        assert_eq!((operator.late_rows(), operator.state_rows()), (1, 1));
    }

    #[test]
    fn within_the_watermark_a_key_comes_again_after_the_delay() {
        let expiry = Expiry::Within { column: 1, delay_micros: 5_000, bound: bound() };
        let mut operator = operator(&[0], expiry);
        run(&mut operator, None, &[(Some(1), 10)]);
        assert!(run(&mut operator, Some(14), &[(Some(1), 16)]).is_empty());
        assert!(operator.wakes_at(context(Some(15)).watermark));
        run(&mut operator, Some(15), &[]);
        assert_eq!(run(&mut operator, Some(15), &[(Some(1), 17)]), [rows(&[(Some(1), 17)])]);
    }

    #[test]
    fn switching_eviction_off_changes_no_output() {
        let expiry = Expiry::InKey { column: 1, bound: bound() };
        let (mut evicts, mut keeps) = (operator(&[0, 1], expiry.clone()), operator(&[0, 1], expiry));
        for batch in 0..40 {
            let input: Vec<_> =
                (0..30).map(|i| (Some((batch * 7 + i * i) % 5), batch * 10 - (i * 13) % 60)).collect();
            let on = context(Some(batch * 10 - 30));
            let off = BatchContext { watermark: Watermark::UNKNOWN, ..on };
            let output = |operator: &mut DropDuplicatesOperator, context: &BatchContext| {
                operator.push(context, 0, rows(&input)).unwrap();
                (operator.finish(context).unwrap(), operator.late_rows())
            };
            assert_eq!(output(&mut evicts, &on), output(&mut keeps, &off), "batch {batch}");
        }
        assert!(evicts.state_rows() * 2 < keeps.state_rows());
    }

    #[test]
    fn restored_state_goes_on_as_if_never_stopped() {
        let expiry = Expiry::InKey { column: 1, bound: bound() };
        let mut first = operator(&[0, 1], expiry.clone());
        run(&mut first, None, &[(Some(1), 10), (None, 20)]);
        let mut second = operator(&[0, 1], expiry);
        for delta in first.take_deltas().unwrap() {
            delta.upserts.into_iter().for_each(|batch| second.restore(KEYS, batch).unwrap());
        }
        assert!(run(&mut second, Some(5), &[(Some(1), 10), (None, 20)]).is_empty());
        assert_eq!(second.snapshot(KEYS).unwrap()[0].num_rows(), 2);
    }

    struct InKey;

    impl acequia_core::conformance::stateful::Fixture for InKey {
        type Operator = DropDuplicatesOperator;

        fn create(&self) -> DropDuplicatesOperator {
            operator(&[0, 1], Expiry::InKey { column: 1, bound: bound() })
        }

        fn run(&self, operator: &mut DropDuplicatesOperator, batch: usize) {
            let time = batch as i64 * 10;
            super::tests::run(
                operator,
                Some(time - 15),
                &[(Some(1), time), (None, time), (Some(1), time + 5)],
            );
        }
    }

    #[test]
    fn state_keeps_its_promises() {
        acequia_core::conformance::stateful::run(&InKey, 8);
    }
}

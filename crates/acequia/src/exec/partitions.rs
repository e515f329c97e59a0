//! Any relation over the rows of a partition, kept up to date by computing it anew where rows changed: OVER, ORDER BY
//! with LIMIT, and every aggregate that cannot take a row back.
//!
//! ```text
//! consolidated changes -> partitions they touch -> their old rows -> the relation over the old rows   weight -1
//!                                                  and new rows   -> the relation over the new rows   weight +1
//!                                                                                        consolidated -> changes
//! ```
//! Rows reach the [`Relation`] in one order: by the columns that the planner names, ties by all others. So what it
//! gives is a function of the rows alone, not of how they came, and the answer over the old rows is the very one that an
//! earlier batch gave.
//!
//! State: the rows of every partition, in a [`RowStore`]. A batch costs the rows of the partitions that it touches.
//! Partitions leave when a watermark passes their time, if one of their columns has one; rows below it are late. With
//! [`Emit::Final`] the answer of a partition is given once, at that moment.
//!
//! A relation without partition columns is one partition, which is there from batch 0 on, also without rows: a global
//! aggregate has a row over nothing.

use super::aggregate::times_in;
use super::delta::{Delta, encode};
use super::row_store::{Cursor, RowStore, RowStoreSpec, SavedRows, hash_keys};
use super::{BatchContext, Emit, Operator, TimeKey, with_weight};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{BatchId, Error, OperatorId, Result, Watermark};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashSet;
use std::sync::Arc;

/// The name of the state table.
const ROWS: &str = "rows";

/// So many rows of touched partitions are looked up at a time.
const LOOKUP_ROWS: usize = 64 * 1024;

/// A pure function of rows: the plan of a query over one table, run on the spot.
pub trait Relation: Send {
    /// The columns of what it gives.
    fn schema(&self) -> SchemaRef;

    /// The rows that the relation has over these rows.
    ///
    /// # Errors
    /// `Data` for values that cannot be computed with.
    fn over(&mut self, rows: RecordBatch) -> Result<Vec<RecordBatch>>;
}

/// What the planner says.
#[derive(Debug, Clone)]
pub struct PartitionsSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The columns of rows, without a weight.
    pub schema: SchemaRef,
    /// The columns that tell partitions apart, or more coarsely than the relation does; none: all rows are one.
    pub partition: Vec<usize>,
    /// The order in which the relation takes rows; ties by all other columns.
    pub order: Vec<(usize, SortOptions)>,
    /// Whether rows may be taken back.
    pub retracting: bool,
    /// The column among those of `partition` by which partitions leave.
    pub time: Option<TimeKey>,
    /// [`Emit::Final`] or [`Emit::Changes`].
    pub emit: Emit,
}

/// See the [module](self).
pub struct PartitionsOperator {
    spec: PartitionsSpec,
    relation: Box<dyn Relation>,
    /// Orders rows: columns and how each is compared.
    order: Vec<usize>,
    converter: RowConverter,
    store: RowStore,
    saved: SavedRows,
    pending: Vec<RecordBatch>,
    late: u64,
    in_batch: bool,
}

impl PartitionsOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be compared; `Internal` for final partitions without a time.
    pub fn try_new(spec: PartitionsSpec, relation: Box<dyn Relation>) -> Result<Self> {
        if spec.emit == Emit::Final && spec.time.is_none() {
            return Err(Error::internal("partitions that are never final"));
        }
        let columns = spec.schema.fields().len();
        let mut order = spec.order.clone();
        let named: HashSet<usize> = order.iter().map(|(column, _)| *column).collect();
        let rest = (0..columns).filter(|column| !named.contains(column));
        order.extend(rest.map(|column| (column, SortOptions::default())));
        let sort = |(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(spec.schema.field(*column).data_type().clone(), *options)
        };
        let converter = RowConverter::new(order.iter().map(sort).collect())
            .map_err(|e| Error::unsupported(format!("rows cannot be ordered by their columns: {e}")))?;
        let store = RowStore::new(RowStoreSpec {
            schema: Arc::clone(&spec.schema),
            key: spec.partition.clone(),
            nulls_equal: true,
            leave: spec.retracting,
            degree: false,
            time: spec.time.as_ref().map(|time| (time.column, time.field)),
        })?;
        let saved = SavedRows::new(spec.operator, ROWS, &store);
        let order = order.into_iter().map(|(column, _)| column).collect();
        Ok(Self {
            spec,
            relation,
            order,
            converter,
            store,
            saved,
            pending: Vec::new(),
            late: 0,
            in_batch: false,
        })
    }

    fn bound(&self, watermark: Watermark) -> Result<Option<i64>> {
        self.spec.time.as_ref().map_or(Ok(None), |time| time.bound.at(watermark))
    }

    /// The rows whose partition has not left yet.
    fn on_time(&mut self, watermark: Watermark, batch: RecordBatch) -> Result<RecordBatch> {
        let (Some(time), Some(bound)) = (&self.spec.time, self.bound(watermark)?) else { return Ok(batch) };
        let times = times_in(batch.column(time.column), time.field)?;
        let on_time: BooleanArray = times.iter().map(|t| Some(t.is_none_or(|t| t >= bound))).collect();
        self.late += (on_time.len() - on_time.true_count()) as u64;
        Ok(filter_record_batch(&batch, &on_time)?)
    }

    fn apply(&mut self, context: &BatchContext, delta: &Delta) -> Result<()> {
        if delta.len() == 0 { Ok(()) } else { self.saved.apply(&mut self.store, delta, context.durable) }
    }

    /// What the changes of a batch change in the relation.
    fn changes(&mut self, context: &BatchContext, delta: Delta) -> Result<Vec<RecordBatch>> {
        let one = self.spec.partition.is_empty();
        let first = one && context.batch == BatchId(0);
        if delta.len() == 0 && !first {
            return Ok(Vec::new());
        }
        let old = self.touched(&delta)?;
        self.apply(context, &delta)?;
        let was_shown = if one { !first } else { old.len() > 0 };
        let new = if old.len() == 0 { delta } else { old.clone().plus(delta)?.consolidated()? };
        let lost = if was_shown { self.answer(old)? } else { Vec::new() };
        let given = if one || new.len() > 0 { self.answer(new)? } else { Vec::new() };
        let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let weights = [vec![-1; rows(&lost)], vec![1; rows(&given)]].concat();
        let rows = concat_batches(&self.relation.schema(), lost.iter().chain(&given))?;
        let changes = Delta { rows, weights }.consolidated()?;
        Ok(if changes.len() == 0 { Vec::new() } else { vec![changes.into_batch()?] })
    }

    /// All rows of the partitions that these rows are in.
    fn touched(&self, delta: &Delta) -> Result<Delta> {
        let key = |column: &usize| normalize_float_zero(delta.rows.column(*column));
        let mut keys: Vec<ArrayRef> = self.spec.partition.iter().map(key).collect();
        let mut count = 1;
        if !keys.is_empty() {
            let encoded = encode(&keys)?;
            let mut seen = HashSet::with_capacity(delta.len());
            let first: Vec<u32> = (0..delta.len() as u32)
                .filter(|row| seen.insert(encoded.row(*row as usize).data()))
                .collect();
            count = first.len();
            let first = UInt32Array::from(first);
            let distinct = keys.iter().map(|column| arrow::compute::take(column, &first, None));
            keys = distinct.collect::<std::result::Result<_, _>>()?;
        }
        let hashes = hash_keys(&keys, count)?;
        let mut ids = Vec::new();
        let mut cursor = Cursor::default();
        while let Some(found) = self.store.matches(&keys, &hashes, &mut cursor, LOOKUP_ROWS)? {
            ids.extend(found.stored);
        }
        self.store.delta_of(&ids)
    }

    /// What the relation gives over rows, each as often as its weight says.
    fn answer(&mut self, rows: Delta) -> Result<Vec<RecordBatch>> {
        let columns: Vec<ArrayRef> = self.order.iter().map(|c| Arc::clone(rows.rows.column(*c))).collect();
        let encoded = self.converter.convert_columns(&columns)?;
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_unstable_by(|a, b| encoded.row(*a as usize).cmp(&encoded.row(*b as usize)));
        let copies = |row: u32| std::iter::repeat_n(row, rows.weights[row as usize].max(0) as usize);
        let order: UInt32Array = order.into_iter().flat_map(copies).collect();
        self.relation.over(take_record_batch(&rows.rows, &order)?)
    }

    /// Forgets the partitions that the watermark has passed; gives their rows.
    fn leave(&mut self, context: &BatchContext) -> Result<Option<Delta>> {
        let Some(bound) = self.bound(context.watermark)? else { return Ok(None) };
        let ids = self.store.below(bound)?;
        if ids.is_empty() {
            return Ok(None);
        }
        let rows = self.store.delta_of(&ids)?;
        self.store.remove(&ids)?;
        if context.durable {
            self.saved.evicted(bound);
        }
        Ok(Some(rows))
    }
}

impl Operator for PartitionsOperator {
    fn output_schema(&self) -> SchemaRef {
        match self.spec.emit {
            Emit::Final => self.relation.schema(),
            _ => with_weight(&self.relation.schema()),
        }
    }

    fn push(&mut self, context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
        let batch = self.on_time(context.late_watermark, batch)?;
        if batch.num_rows() > 0 {
            self.pending.push(batch);
        }
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        if !std::mem::take(&mut self.in_batch) {
            self.late = 0;
        }
        let pending = std::mem::take(&mut self.pending);
        let delta = Delta::of(&self.spec.schema, &pending)?.consolidated()?;
        if self.spec.emit == Emit::Final {
            self.apply(context, &delta)?;
            return match self.leave(context)? {
                Some(rows) => self.answer(rows),
                None => Ok(Vec::new()),
            };
        }
        let changes = self.changes(context, delta)?;
        self.leave(context)?;
        Ok(changes)
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        let bound = self.bound(watermark);
        matches!(bound, Ok(Some(bound)) if self.store.has_below(bound))
    }
}

impl Stateful for PartitionsOperator {
    fn tables(&self) -> Vec<TableDef> {
        vec![self.saved.table().clone()]
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let delta = self.saved.take_delta();
        Ok(if delta.is_empty() { vec![] } else { vec![delta] })
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        if table != ROWS {
            return Err(Error::data(format!("state is not of this operator: table=`{table}`")));
        }
        self.saved.restore(&mut self.store, &rows)
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        if table != ROWS {
            return Err(acequia_core::options::unknown("state table", table, [ROWS]));
        }
        self.saved.snapshot(&self.store)
    }

    fn state_rows(&self) -> usize {
        self.store.len()
    }

    fn state_bytes(&self) -> usize {
        self.store.bytes()
    }
}

#[cfg(test)]
mod tests;

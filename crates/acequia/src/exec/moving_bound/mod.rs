//! Rows on one side of a bound that moves: `price > (SELECT avg(price) FROM s)`, `t > now() - INTERVAL '1 hour'`, or times
//! that the watermark has passed.
//!
//! Rows are kept in the order of what is compared. When the bound moves from p to q, only the rows between the two come
//! or go:
//! ```text
//! d(rows that pass) = old rows between p and q, given or taken back  +  changed rows that pass at q
//! ```
//! A batch costs its rows, each with the logarithm of those kept, and the rows between p and q.
//!
//! | the bound | it moves | kept | rows leave the state |
//! |---|---|---|---|
//! | a relation of at most one row | both ways | all rows without NULL in what is compared; the bound | when taken back |
//! | a function of the batch's time | forward | rows that it has not passed | when it passes them |
//! | the watermark | forward | the same, without those that come late | the same |
//!
//! What time has passed stays so: such a row is given or dropped at once, and taking it back needs no state. If rows pass
//! below a bound of time, they are only added. Rows are due in batches without data too, of which there are at most ten
//! in a second: [`TICK`].
//!
//! Values compare as bytes of [`arrow::row`], which have the order of DataFusion's comparisons but for -0.0, which equals
//! 0.0: floats are kept once more as they compare.
//! Memory per row: its bytes and about 40. Saved state: the tables `rows` and, unless it is a time, `bound`.

mod rows;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::{BatchBound, Comparison, MovingBound, MovingBoundSpec};

use super::aggregate::{from_int64, on_time, times_in};
use super::delta::Delta;
use super::row_bytes::converter;
use super::{BatchContext, Operator, TimeBound, with_weight};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{Error, Result, Timestamp, Watermark};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::RowConverter;
use datafusion::common::utils::normalize_float_zero;
use rows::{Cut, CutRows, Keyed};
use std::sync::Arc;

/// Names of the state tables.
const TABLES: [&str; 2] = ["rows", "bound"];

/// Rows are due at multiples of this many microseconds, so that rows with many times do not make as many batches.
pub(crate) const TICK: i64 = 100_000;

/// The last tick of which nanoseconds can be told.
const LAST_TICK: i64 = i64::MAX / 1_000 / TICK;

/// See the [module](self).
pub struct MovingBoundOperator {
    spec: MovingBoundSpec,
    output: SchemaRef,
    rows: CutRows,
    /// The column of the rows kept by which they are in order.
    ordered_by: usize,
    converter: RowConverter,
    bound: Bound,
    pending: [Vec<RecordBatch>; 2],
    due: Option<Timestamp>,
    in_batch: bool,
    late: u64,
}

/// The bound as it was in the last batch.
enum Bound {
    Row(Box<CutRows>),
    Time(Arc<dyn BatchBound>),
    Watermark(TimeBound),
}

impl MovingBoundOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be compared; `Internal` for rows that a watermark would let go again.
    pub fn try_new(spec: MovingBoundSpec) -> Result<Self> {
        let bound = match &spec.bound {
            MovingBound::Row(schema) => {
                Bound::Row(Box::new(CutRows::try_new(spec.operator, TABLES[1], schema, 0)?))
            }
            MovingBound::Time(bound) => Bound::Time(Arc::clone(bound)),
            MovingBound::Watermark(bound) if spec.only_adds() => Bound::Watermark(bound.clone()),
            MovingBound::Watermark(_) => {
                return Err(Error::internal("rows that are final once and may leave again"));
            }
        };
        let given: Vec<usize> = (0..spec.given).collect();
        let output = Arc::new(spec.schema.project(&given)?);
        let output = if spec.only_adds() { output } else { with_weight(&output) };
        let (mut kept, mut ordered_by) = (Arc::clone(&spec.schema), spec.compared);
        let compared = spec.schema.field(spec.compared);
        if compared.data_type().is_floating() {
            ordered_by = kept.fields().len();
            let fields = kept.fields().iter().cloned().chain([Arc::new(compared.clone())]);
            kept = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        }
        let rows = CutRows::try_new(spec.operator, TABLES[0], &kept, ordered_by)?;
        let converter = converter(&kept, &[(ordered_by, SortOptions::default())])?;
        Ok(Self {
            rows,
            ordered_by,
            converter,
            bound,
            output,
            spec,
            pending: Default::default(),
            due: None,
            in_batch: false,
            late: 0,
        })
    }

    /// The changed rows of the batch.
    fn changes(&mut self) -> Result<Keyed> {
        let pending = std::mem::take(&mut self.pending[0]);
        let delta = Delta::of(&self.spec.schema, &pending)?;
        let Delta { mut rows, weights } = if self.spec.retracting { delta.consolidated()? } else { delta };
        if self.ordered_by != self.spec.compared {
            let mut columns = rows.columns().to_vec();
            columns.push(normalize_float_zero(&columns[self.spec.compared]));
            rows = RecordBatch::try_new(Arc::clone(self.rows.schema()), columns)?;
        }
        self.rows.keyed(Delta { rows, weights })
    }

    /// Where the bound is that the relation has.
    fn cut_of_row(&self) -> Result<Cut> {
        let Bound::Row(bound) = &self.bound else { return Err(Error::internal("the bound is no row")) };
        let Delta { rows, weights } = bound.between(&Cut::Lowest, &Cut::Highest)?;
        match weights[..] {
            [1] if rows.column(0).is_valid(0) => self.cut_at(rows.column(0)),
            // Nothing passes.
            [] | [1] if self.spec.comparison.passes_above() => Ok(Cut::Highest),
            [] | [1] => Ok(Cut::Lowest),
            _ => Err(Error::internal("a comparison with a relation of more than one row")),
        }
    }

    /// Applies the changes of the relation that is the bound.
    fn move_row(&mut self, durable: bool) -> Result<()> {
        let Bound::Row(row) = &mut self.bound else { return Err(Error::internal("the bound is no row")) };
        let pending = std::mem::take(&mut self.pending[1]);
        let changes = row.keyed(Delta::of(row.schema(), &pending)?.consolidated()?)?;
        let all: Vec<u32> = (0..changes.delta.len() as u32).collect();
        row.apply(&changes, &all, durable)
    }

    /// The batch over a bound that is a row.
    fn follow_row(&mut self, durable: bool) -> Result<Delta> {
        let before = self.cut_of_row()?;
        self.move_row(durable)?;
        let now = self.cut_of_row()?;
        let up = before < now;
        let mut crossed =
            if up { self.rows.between(&before, &now)? } else { self.rows.between(&now, &before)? };
        if up == self.spec.comparison.passes_above() {
            crossed.weights.iter_mut().for_each(|weight| *weight = -*weight);
        }
        let changes = self.changes()?;
        let comparable = self.comparable(&changes);
        self.rows.apply(&changes, &comparable, durable)?;
        crossed.plus(self.passing(changes, comparable, &now)?)
    }

    /// The batch over a bound that only rises.
    fn follow_time(&mut self, now: Cut, context: &BatchContext) -> Result<Delta> {
        let mut passed = self.rows.take_before(&now, context.durable)?;
        if self.spec.comparison.passes_above() {
            passed.weights.iter_mut().for_each(|weight| *weight = -*weight);
        }
        let changes = self.changes()?;
        let comparable = self.comparable(&changes);
        let is_ahead = |row: &u32| !now.is_above(changes.key(*row as usize));
        let ahead: Vec<u32> = comparable.iter().copied().filter(is_ahead).collect();
        self.rows.apply(&changes, &ahead, context.durable)?;
        if matches!(self.bound, Bound::Time(_)) {
            self.due = self.next_due();
        }
        passed.plus(self.passing(changes, comparable, &now)?)
    }

    /// The changed rows that may pass.
    fn comparable(&self, changes: &Keyed) -> Vec<u32> {
        let compared = changes.delta.rows.column(self.spec.compared);
        (0..changes.delta.len() as u32).filter(|row| compared.is_valid(*row as usize)).collect()
    }

    /// Those of these changed rows that pass.
    fn passing(&self, changes: Keyed, rows: Vec<u32>, cut: &Cut) -> Result<Delta> {
        let above = self.spec.comparison.passes_above();
        let passes = |row: &u32| cut.is_above(changes.key(*row as usize)) != above;
        let passing: Vec<u32> = rows.into_iter().filter(passes).collect();
        changes.delta.take(&passing)
    }

    fn cut_at_time(&self, time: Timestamp) -> Result<Cut> {
        let Bound::Time(bound) = &self.bound else { return Err(Error::internal("the bound is no time")) };
        let value = bound.at(time)?;
        if value.len() != 1 || value.is_null(0) {
            return Err(Error::internal("a bound of time is no value"));
        }
        self.cut_at(&value)
    }

    fn cut_at_watermark(&self, watermark: Watermark) -> Result<Cut> {
        let Bound::Watermark(bound) = &self.bound else {
            return Err(Error::internal("the bound is no watermark"));
        };
        let Some(value) = bound.at(watermark)? else { return Ok(Cut::Lowest) };
        let value = Int64Array::from_value(value, 1);
        self.cut_at(&from_int64(&value, self.spec.schema.field(self.spec.compared).data_type())?)
    }

    /// The rows that the watermark has not passed when they come.
    fn on_time(&mut self, watermark: Watermark, rows: RecordBatch) -> Result<RecordBatch> {
        let Bound::Watermark(bound) = &self.bound else { return Ok(rows) };
        let Some(bound) = bound.at(watermark)? else { return Ok(rows) };
        let times = times_in(rows.column(self.spec.compared), None)?;
        let (rows, late) = on_time(rows, &times, bound)?;
        self.late += late;
        Ok(rows)
    }

    /// The place of a value.
    fn cut_at(&self, value: &ArrayRef) -> Result<Cut> {
        let value = self.converter.convert_columns(&[normalize_float_zero(value)])?;
        Ok(Cut::at(value.row(0).data(), self.spec.comparison.cuts_above_equal()))
    }

    /// The first tick at which the first row is passed. A time of which the bound cannot be computed is after all others.
    fn next_due(&self) -> Option<Timestamp> {
        let first = self.rows.first()?;
        let passes =
            |tick: i64| self.cut_at_time(Timestamp(tick * TICK)).map_or(true, |cut| cut.is_above(first));
        let (mut before, mut after) = match self.due {
            // Most often the next row is due not long after the last one.
            Some(Timestamp(last)) if !passes(last / TICK - 1) => (last / TICK - 1, last / TICK),
            _ if passes(0) => return Some(Timestamp(0)),
            _ => (0, 1),
        };
        while !passes(after) {
            if after == LAST_TICK {
                return None;
            }
            let step = (after - before) * 2;
            (before, after) = (after, (after + step).min(LAST_TICK));
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if passes(middle) { after = middle } else { before = middle }
        }
        Some(Timestamp(after * TICK))
    }

    fn tables_of(&self) -> impl Iterator<Item = &CutRows> {
        let bound = match &self.bound {
            Bound::Row(row) => Some(row.as_ref()),
            Bound::Time(_) | Bound::Watermark(_) => None,
        };
        std::iter::once(&self.rows).chain(bound)
    }
}

impl Operator for MovingBoundOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
        let batch = self.on_time(context.late_watermark, batch)?;
        let pending = self.pending.get_mut(input);
        pending.ok_or_else(|| Error::internal("an operator with two inputs"))?.push(batch);
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        if !std::mem::take(&mut self.in_batch) {
            self.late = 0;
        }
        let Delta { rows, weights } = match self.bound {
            Bound::Row(_) => self.follow_row(context.durable)?,
            Bound::Time(_) => self.follow_time(self.cut_at_time(context.batch_time)?, context)?,
            Bound::Watermark(_) => self.follow_time(self.cut_at_watermark(context.watermark)?, context)?,
        };
        if weights.is_empty() {
            return Ok(Vec::new());
        }
        let given: Vec<usize> = (0..self.spec.given).collect();
        let output = Delta { rows: rows.project(&given)?, weights };
        Ok(vec![if self.spec.only_adds() { output.copies()? } else { output.into_batch()? }])
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        let passes = |first: &[u8]| self.cut_at_watermark(watermark).is_ok_and(|cut| cut.is_above(first));
        matches!(self.bound, Bound::Watermark(_)) && self.rows.first().is_some_and(passes)
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.due
    }
}

impl Stateful for MovingBoundOperator {
    fn tables(&self) -> Vec<TableDef> {
        self.tables_of().map(|rows| rows.table().clone()).collect()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let mut deltas = vec![self.rows.take_delta()];
        if let Bound::Row(row) = &mut self.bound {
            deltas.push(row.take_delta());
        }
        deltas.retain(|delta| !delta.is_empty());
        Ok(deltas)
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        match (&mut self.bound, TABLES.iter().position(|name| *name == table)) {
            (_, Some(0)) => {
                self.rows.restore(&rows)?;
                if matches!(self.bound, Bound::Time(_)) {
                    self.due = self.next_due();
                }
                Ok(())
            }
            (Bound::Row(row), Some(1)) => row.restore(&rows),
            _ => Err(Error::data(format!("state is not of this operator: table=`{table}`"))),
        }
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let names = self.tables_of().map(|rows| rows.table().name.as_str()).collect::<Vec<_>>();
        match self.tables_of().find(|rows| rows.table().name == table) {
            Some(rows) => rows.snapshot(),
            None => Err(acequia_core::options::unknown("state table", table, names)),
        }
    }

    fn state_rows(&self) -> usize {
        self.tables_of().map(CutRows::len).sum()
    }

    fn state_bytes(&self) -> usize {
        self.tables_of().map(CutRows::size).sum()
    }
}

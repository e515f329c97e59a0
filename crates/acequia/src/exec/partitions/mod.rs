//! Any relation over the rows of a partition, kept up to date by computing it anew where rows changed: OVER, ORDER BY
//! with LIMIT, and every aggregate that cannot take a row back.
//!
//! ```text
//! consolidated changes -> what they change in the rows that the relation has to see -> the relation over the rows before   -1
//!                                                                                     and over the rows after             +1
//!                                                                                                      consolidated -> changes
//! ```
//! Rows reach the [`Relation`] in one order: by the columns that the planner names, ties by all others. So what it
//! gives is a function of the rows alone, not of how they came, and the answer over the rows before is the very one that
//! an earlier batch gave.
//!
//! | [`See`] | the relation sees | state | a batch costs |
//! |---|---|---|---|
//! | `All` | partitions that changed | rows, by partition | the rows of these partitions |
//! | `First` | the first rows of partitions, where these changed | rows in order | changes x log + touched partitions x first rows |
//! | `First`, no row is taken back | the same | the first rows of partitions | changes + touched partitions x first rows |
//! | `Near` | rows around a change, as far as one decides on the other | rows in order | changes x log + the rows seen |
//! | `Rest` | those, and all after them in their partitions | rows in order, places | changes x log + the rows seen |
//!
//! With `Rest` the rows have [`Running`] values, over all rows up to one, as columns. In place of the relation over `First`
//! rows where no row is taken back there may be [`Number`]s: the operator gives the first rows with these.
//!
//! With `Near` and `Rest` the rows at the edge of what the relation sees get wrong values, the same before and after, so that they
//! cancel out.
//!
//! Partitions leave when a watermark passes their time, if one of their columns has one; rows below it are late. With
//! [`Emit::Final`] the answer of a partition is given once, at that moment, or, where rows come `in_order`, as it grows.
//!
//! A relation over all rows without partition columns is one partition, which is there from batch 0 on, also without
//! rows: a global aggregate has a row over nothing.

mod all;
mod near;
mod ordered;
mod reach;
#[cfg(test)]
mod reach_tests;
mod rest;
#[cfg(test)]
mod rest_tests;
mod running;
#[cfg(test)]
mod tests;
mod top;

use super::aggregate::{on_time, times_in};
use super::delta::Delta;
use super::rows_table::RowsTable;
use super::{BatchContext, Emit, Operator, TimeKey, with_weight};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{BatchId, Error, OperatorId, Result, Watermark};
use all::AllRows;
use arrow::array::RecordBatch;
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use ordered::OrderedRows;
pub use reach::{Distance, Reach};
use rest::RestRows;
pub use running::{Running, RunningValue};
use std::sync::Arc;
use top::TopRows;

/// The name of the state table.
const ROWS: &str = "rows";

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
    /// Whether each batch's rows come after those of all batches before in the first column of `order` beside
    /// `partition`, and what the relation gives looks back only: then it is final at once.
    pub in_order: bool,
    /// Which rows decide what the relation gives.
    pub see: See,
    /// With [`See::Rest`], columns that the relation sees after those of the rows.
    pub running: Vec<Running>,
}

impl PartitionsSpec {
    /// The columns that the relation sees.
    pub fn seen(&self) -> SchemaRef {
        let running = self.running.iter().map(|running| &running.field);
        let columns = self.schema.fields().iter().chain(running).cloned();
        Arc::new(Schema::new(columns.collect::<Vec<_>>()))
    }

    /// The columns in the order in which rows are compared, and how: those of `partition` first.
    fn all_columns(&self) -> Vec<(usize, SortOptions)> {
        let asked = |column: usize| {
            let asked = self.order.iter().find(|(other, _)| *other == column);
            asked.copied().unwrap_or((column, SortOptions::default()))
        };
        let named = self.partition.iter().copied().chain(self.order.iter().map(|(column, _)| *column));
        let mut order: Vec<(usize, SortOptions)> = Vec::new();
        for column in named.chain(0..self.schema.fields().len()) {
            if order.iter().all(|(other, _)| *other != column) {
                order.push(asked(column));
            }
        }
        order
    }
}

/// Which rows of a partition a relation has to see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum See {
    /// All of them.
    All,
    /// The first ones.
    First(First),
    /// Those around one that changed.
    Near(Near),
    /// Those, and all after them.
    Rest(Near),
}

/// How far away the rows are that decide on what a relation gives for one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Near {
    /// Of those before it.
    pub back: Reach,
    /// Of those after it.
    pub ahead: Reach,
}

/// The first rows of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// So many rows: LIMIT, `row_number() <= k`.
    Rows(usize),
    /// Rows before which there are fewer than so many smaller ones: `rank() <= k`.
    Ranks(usize),
    /// Rows with the first so many values of the order: `dense_rank() <= k`.
    Values(usize),
}

/// Rows in order that are seen one after the other, as far as [`First`] asks for it.
#[derive(Default)]
struct Before<'a> {
    rows: usize,
    values: usize,
    last: Option<&'a [u8]>,
}

impl<'a> Before<'a> {
    /// Whether so many copies of a row with this value of the order, which come next, are among the first rows.
    fn admits(&mut self, first: First, value: &'a [u8], copies: usize) -> bool {
        let same = self.last == Some(value);
        let admitted = match first {
            First::Rows(most) => self.rows < most,
            First::Ranks(most) => self.rows < most || (same && most > 0),
            First::Values(most) => self.values < most || (same && most > 0),
        };
        if admitted {
            self.values += usize::from(!same);
            self.rows = self.rows.saturating_add(copies);
            self.last = Some(value);
        }
        admitted
    }
}

impl First {
    /// How many of rows in order, given by their values of the order, are the first, and whether one after them is not.
    fn of<'a>(self, values: impl IntoIterator<Item = &'a [u8]>) -> (usize, bool) {
        let mut before = Before::default();
        for value in values {
            if !before.admits(self, value, 1) {
                return (before.rows, true);
            }
        }
        let full = match self {
            Self::Rows(most) | Self::Ranks(most) => before.rows >= most,
            Self::Values(most) => before.values >= most,
        };
        (before.rows, full)
    }
}

/// What tells first rows of a partition apart, as a column of UInt64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// `row_number()`
    Row,
    /// `rank()`
    Rank,
    /// `dense_rank()`
    DenseRank,
}

impl Number {
    /// The number that a window function gives, if it is one.
    pub fn of(function: &str) -> Option<Self> {
        match function {
            "row_number" => Some(Self::Row),
            "rank" => Some(Self::Rank),
            "dense_rank" => Some(Self::DenseRank),
            _ => None,
        }
    }

    /// These columns, and numbers after them.
    fn after(schema: &SchemaRef, numbers: &[Self]) -> SchemaRef {
        let number = |n: &Self| Arc::new(Field::new(format!("{n:?}"), DataType::UInt64, false));
        let columns = schema.fields().iter().cloned().chain(numbers.iter().map(number));
        Arc::new(Schema::new(columns.collect::<Vec<_>>()))
    }
}

/// What an operator gives.
pub enum Gives {
    /// What a relation has over the rows that it sees.
    Relation(Box<dyn Relation>),
    /// The rows of [`See::First`] with these numbers after their columns, where no row is taken back.
    Numbers(Vec<Number>),
}

/// What the relation sees.
struct Seen {
    before: RecordBatch,
    after: RecordBatch,
}

/// The rows of partitions, and which of them the relation has to see.
trait Kept: Send {
    /// Applies changes, which are consolidated where rows may be taken back.
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen>;

    /// Applies such changes where nobody wants to see them.
    fn store(&mut self, delta: &Delta, durable: bool) -> Result<()>;

    /// Forgets partitions whose time is below the bound; gives what the relation has to see of them.
    fn leave(&mut self, bound: i64, durable: bool) -> Result<Option<RecordBatch>>;

    /// Whether a partition's time is below the bound.
    fn has_below(&self, bound: i64) -> bool;

    fn table(&self) -> &TableDef;
    fn take_delta(&mut self) -> TableDelta;
    fn restore(&mut self, rows: &RecordBatch) -> Result<()>;
    fn snapshot(&self) -> Result<Vec<RecordBatch>>;
    fn rows(&self) -> usize;
    fn bytes(&self) -> usize;
}

/// The table of a partition's rows.
fn rows_table(spec: &PartitionsSpec) -> RowsTable {
    let time = spec.time.as_ref().map(|time| (time.column, time.field));
    RowsTable::new(spec.operator, ROWS, &spec.schema, time)
}

/// See the [module](self).
pub struct PartitionsOperator {
    spec: PartitionsSpec,
    gives: Gives,
    schema: SchemaRef,
    kept: Box<dyn Kept>,
    pending: Vec<RecordBatch>,
    late: u64,
    in_batch: bool,
}

impl PartitionsOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be compared; `Internal` for final partitions without a time.
    pub fn try_new(spec: PartitionsSpec, gives: Gives) -> Result<Self> {
        if spec.emit == Emit::Final && spec.time.is_none() && !spec.in_order {
            return Err(Error::internal("partitions that are never final"));
        }
        let (numbers, schema) = match &gives {
            Gives::Relation(relation) => (&[][..], relation.schema()),
            Gives::Numbers(numbers) => (numbers.as_slice(), Number::after(&spec.schema, numbers)),
        };
        let kept: Box<dyn Kept> = match spec.see {
            See::First(first) if !spec.retracting => Box::new(TopRows::try_new(&spec, first, numbers)?),
            _ if matches!(gives, Gives::Numbers(_)) => {
                return Err(Error::internal("numbers of rows that are not the first, or may be taken back"));
            }
            See::All => Box::new(AllRows::try_new(&spec)?),
            See::First(_) | See::Near(_) => Box::new(OrderedRows::try_new(&spec)?),
            See::Rest(near) => Box::new(RestRows::try_new(&spec, near)?),
        };
        Ok(Self { spec, gives, schema, kept, pending: Vec::new(), late: 0, in_batch: false })
    }

    fn bound(&self, watermark: Watermark) -> Result<Option<i64>> {
        self.spec.time.as_ref().map_or(Ok(None), |time| time.bound.at(watermark))
    }

    /// The rows whose partition has not left yet.
    fn on_time(&mut self, watermark: Watermark, batch: RecordBatch) -> Result<RecordBatch> {
        let (Some(time), Some(bound)) = (&self.spec.time, self.bound(watermark)?) else { return Ok(batch) };
        let times = times_in(batch.column(time.column), time.field)?;
        let (batch, late) = on_time(batch, &times, bound)?;
        self.late += late;
        Ok(batch)
    }

    /// What the changes of a batch change in the relation.
    fn changes(&mut self, context: &BatchContext, delta: Delta) -> Result<Vec<RecordBatch>> {
        let always = self.spec.see == See::All && self.spec.partition.is_empty();
        let first = always && context.batch == BatchId(0);
        if delta.len() == 0 && !first {
            return Ok(Vec::new());
        }
        let Seen { before, after } = self.kept.change(delta, context.durable)?;
        let mut over = |rows: RecordBatch, also_over_nothing: bool| match &mut self.gives {
            Gives::Relation(relation) if also_over_nothing || rows.num_rows() > 0 => relation.over(rows),
            Gives::Relation(_) => Ok(Vec::new()),
            Gives::Numbers(_) => Ok(vec![rows]),
        };
        let (lost, given) = (over(before, always && !first)?, over(after, always)?);
        let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let weights = [vec![-1; rows(&lost)], vec![1; rows(&given)]].concat();
        let rows = concat_batches(&self.schema, lost.iter().chain(&given))?;
        let changes = Delta { rows, weights };
        let changes = match self.gives {
            Gives::Relation(_) => changes.consolidated()?,
            Gives::Numbers(_) => changes,
        };
        if changes.len() == 0 {
            return Ok(Vec::new());
        }
        if self.spec.emit != Emit::Final {
            return Ok(vec![changes.into_batch()?]);
        }
        if changes.weights.iter().any(|weight| *weight < 0) {
            return Err(Error::internal("a final row changes"));
        }
        Ok(vec![changes.copies()?])
    }

    /// The rows of a batch, each once, unless they are looked at one by one anyway.
    fn rows_of_batch(&mut self) -> Result<Delta> {
        let rows = Delta::of(&self.spec.schema, &std::mem::take(&mut self.pending))?;
        let one_by_one = !self.spec.retracting && matches!(self.spec.see, See::First(_));
        if one_by_one { Ok(rows) } else { rows.consolidated() }
    }

    /// Forgets the partitions that the watermark has passed.
    fn leave(&mut self, context: &BatchContext) -> Result<Option<RecordBatch>> {
        let bound = self.bound(context.watermark)?;
        bound.map_or(Ok(None), |bound| self.kept.leave(bound, context.durable))
    }
}

impl Operator for PartitionsOperator {
    fn output_schema(&self) -> SchemaRef {
        match self.spec.emit {
            Emit::Final => Arc::clone(&self.schema),
            _ => with_weight(&self.schema),
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
        let delta = self.rows_of_batch()?;
        if self.spec.emit == Emit::Final && !self.spec.in_order {
            if delta.len() > 0 {
                self.kept.store(&delta, context.durable)?;
            }
            let left = self.leave(context)?;
            return match (left, &mut self.gives) {
                (Some(rows), Gives::Relation(relation)) => relation.over(rows),
                (Some(rows), Gives::Numbers(_)) => Ok(vec![rows]),
                (None, _) => Ok(Vec::new()),
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
        matches!(bound, Ok(Some(bound)) if self.kept.has_below(bound))
    }
}

impl Stateful for PartitionsOperator {
    fn tables(&self) -> Vec<TableDef> {
        vec![self.kept.table().clone()]
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let delta = self.kept.take_delta();
        Ok(if delta.is_empty() { vec![] } else { vec![delta] })
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        if table != ROWS {
            return Err(Error::data(format!("state is not of this operator: table=`{table}`")));
        }
        self.kept.restore(&rows)
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        if table != ROWS {
            return Err(acequia_core::options::unknown("state table", table, [ROWS]));
        }
        self.kept.snapshot()
    }

    fn state_rows(&self) -> usize {
        self.kept.rows()
    }

    fn state_bytes(&self) -> usize {
        self.kept.bytes()
    }
}

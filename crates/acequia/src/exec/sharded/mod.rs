//! A stateful operator in shards: [`Sharded`] holds several operators of one spec and gives each row to one of them, by
//! a hash of its key, so that each keeps the state of its own keys only.
//!
//! ```text
//! push    rows wait until they are worth it
//!         group expressions, once -> split by shard, in the order of arrival -> each shard its rows
//! finish  all shards, whether they had rows or not -> their outputs, shard by shard
//! state   the rows of all shards, as one operator would have them; rows that are put back are routed again
//! ```
//! The answer is that of one operator for any number of shards: a key lives in one shard, its rows reach it in their
//! order, and watermarks, hence what is late, final or evicted, are the same in all. What an operator knows beyond its
//! keys its shards share, and one of them saves it. Rows within a batch have no order.
//!
//! Rows are routed by the key without its window or event time, so that a key's windows stay together and spread
//! evenly over time; by that time where there is nothing else. Operators whose keys do not tell rows apart (no group
//! columns, or grouping sets without a column in common) stay in one piece.
//!
//! What comes before the state, group expressions and routing, depends on nothing but the rows ([`Prepare`]), so that
//! the runtime can have it done on other threads.
//! Shards run one after the other on the query's thread, and on threads of their own when a batch is large. With
//! [`Shards::AUTO`] there is one operator until a large batch meets many keys, and then a shard per core: other queries
//! have neither the cost of routing nor another order of rows.

mod lanes;
mod router;
#[cfg(test)]
mod tests;

use super::aggregate::coalesce;
use super::route::RouteColumn;
use super::{
    AggregateOperator, AggregateSpec, BatchContext, DropDuplicatesOperator, DropDuplicatesSpec,
    KeyedStateOperator, KeyedStateSpec, Operator, Prepare, Prepared, SessionAggregateOperator, SessionSpec,
    cores,
};
use crate::error::from_datafusion;
use acequia_core::state::{Stateful, TableDef, TableDelta, TableKind};
use acequia_core::{Error, Result, Timestamp, Watermark};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::PhysicalGroupBy;
use lanes::{Lanes, Running};
use router::Router;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

/// So many rows are worth threads; few in tests, so that they have threads too.
const PARALLEL_ROWS: usize = if cfg!(test) { 16 } else { 64 * 1024 };

/// Rows of a large batch whose keys are counted, to see whether it has many.
const SAMPLE_ROWS: usize = 4 * 1024;

/// With so many keys in the state a quarter of the rows of a batch with keys of their own is many, otherwise a half.
const MANY_KEYS: usize = if cfg!(test) { 16 } else { 64 * 1024 };

/// Into how many shards the state of each operator is split: 1 to [`Shards::MAX`], or as many as it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shards(Option<NonZeroUsize>);

impl Shards {
    /// One, and as many as there are cores from the first large batch with many keys on.
    pub const AUTO: Self = Self(None);

    /// The most there can be.
    pub const MAX: usize = 1024;

    /// So many shards.
    ///
    /// # Errors
    /// `Invalid` when there would be none, or more than [`Shards::MAX`].
    pub fn new(shards: usize) -> Result<Self> {
        let given = NonZeroUsize::new(shards).filter(|shards| shards.get() <= Self::MAX);
        given.map(|shards| Self(Some(shards))).ok_or_else(|| Self::out_of_range(&shards.to_string()))
    }

    fn out_of_range(given: &str) -> Error {
        let range = format!("the number of shards is neither `auto` nor from 1 to {}", Self::MAX);
        Error::invalid(format!("{range}: value=`{given}`"))
    }
}

impl FromStr for Shards {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim().eq_ignore_ascii_case("auto") {
            return Ok(Self::AUTO);
        }
        let shards: usize = text.trim().parse().map_err(|_| Self::out_of_range(text))?;
        Self::new(shards)
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(shards) => shards.fmt(f),
            None => f.write_str("auto"),
        }
    }
}

/// An operator, in shards where it can be.
pub struct Sharding {
    /// The operator.
    pub operator: Box<dyn Operator>,
    /// The columns of its output by which rows are routed; none when it is in one piece.
    pub by: Vec<usize>,
}

/// How an operator is split.
struct Pieces {
    /// What is appended to the rows that the pieces take.
    computed: Vec<Arc<dyn PhysicalExpr>>,
    /// Where those rows have each column of the key.
    places: Vec<usize>,
    /// Makes so many of them.
    make: Make,
}

type Make = Box<dyn Fn(usize) -> Result<Vec<Box<dyn Operator>>> + Send>;

fn boxed(operator: impl Operator + 'static) -> Box<dyn Operator> {
    Box::new(operator)
}

impl Sharding {
    /// An aggregate.
    ///
    /// # Errors
    /// As [`AggregateOperator::try_new`].
    pub fn aggregate(spec: AggregateSpec, shards: Shards) -> Result<Self> {
        Self::aggregate_of(spec, shards, AggregateOperator::try_new)
    }

    pub(super) fn aggregate_of(
        spec: AggregateSpec,
        shards: Shards,
        operator: impl Fn(AggregateSpec) -> Result<AggregateOperator> + Send + 'static,
    ) -> Result<Self> {
        let whole = operator(spec.clone())?;
        let key = whole.routing();
        Self::of(boxed(whole), key, shards, |key| {
            let (group_by, computed) = computed_once(&spec.group_by, spec.input_schema.fields().len());
            let places = places(key, &group_by)?;
            let spec = AggregateSpec { group_by, ..spec };
            let make = move |count| (0..count).map(|_| operator(spec.clone()).map(boxed)).collect();
            Ok(Pieces { computed, places, make: Box::new(make) })
        })
    }

    /// An aggregate by session windows.
    ///
    /// # Errors
    /// As [`SessionAggregateOperator::try_new`].
    pub fn session_aggregate(spec: SessionSpec, shards: Shards) -> Result<Self> {
        let whole = SessionAggregateOperator::try_new(spec.clone())?;
        let key = whole.routing();
        Self::of(boxed(whole), key, shards, |key| {
            let (group_by, computed) = computed_once(&spec.group_by, spec.input_schema.fields().len());
            let places = places(key, &group_by)?;
            let spec = SessionSpec { group_by, ..spec };
            let make = move |count: usize| {
                let first = SessionAggregateOperator::try_new(spec.clone())?;
                let others = (1..count).map(|_| first.sibling().map(boxed)).collect::<Result<Vec<_>>>()?;
                Ok([boxed(first)].into_iter().chain(others).collect())
            };
            Ok(Pieces { computed, places, make: Box::new(make) })
        })
    }

    /// `drop_duplicates`.
    ///
    /// # Errors
    /// As [`DropDuplicatesOperator::try_new`].
    pub fn drop_duplicates(spec: DropDuplicatesSpec, shards: Shards) -> Result<Self> {
        let (whole, key) = (DropDuplicatesOperator::try_new(spec.clone())?, spec.routing());
        Self::of(boxed(whole), key, shards, |key| {
            let places = key.iter().map(|column| column.column).collect();
            let make = move |count| {
                (0..count).map(|_| DropDuplicatesOperator::try_new(spec.clone()).map(boxed)).collect()
            };
            Ok(Pieces { computed: Vec::new(), places, make: Box::new(make) })
        })
    }

    /// `transform_with_state`.
    ///
    /// # Errors
    /// As [`KeyedStateOperator::try_new`].
    pub fn keyed_state(spec: KeyedStateSpec, shards: Shards) -> Result<Self> {
        let (whole, key) = (KeyedStateOperator::try_new(spec.clone())?, spec.routing());
        Self::of(boxed(whole), key, shards, |key| {
            let places = key.iter().map(|column| column.column).collect();
            let make = move |count| {
                (0..count).map(|_| KeyedStateOperator::try_new(spec.clone()).map(boxed)).collect()
            };
            Ok(Pieces { computed: Vec::new(), places, make: Box::new(make) })
        })
    }

    fn of(
        whole: Box<dyn Operator>,
        key: Vec<RouteColumn>,
        shards: Shards,
        pieces: impl FnOnce(&[RouteColumn]) -> Result<Pieces>,
    ) -> Result<Self> {
        let threads = cores();
        let count = shards.0.map_or(threads, NonZeroUsize::get);
        if key.is_empty() || count == 1 {
            return Ok(Self { operator: whole, by: Vec::new() });
        }
        let Pieces { computed, places, make } = pieces(&key)?;
        let by = key.iter().map(|column| column.column).collect();
        let router = Arc::new(Router::try_new(key.into_iter().zip(places).collect(), count)?);
        let split = shards != Shards::AUTO;
        let operators = make(if split { count } else { 1 })?;
        let next = if split { Some(Arc::clone(&router) as _) } else { operators[0].preparation() };
        let sharded = Sharded {
            output_schema: whole.output_schema(),
            tables: whole.tables(),
            operators,
            split,
            lanes: None,
            running: None,
            make,
            routing: Arc::new(Routing { computed: Arc::new(computed), next }),
            router,
            waiting: Vec::new(),
            waiting_rows: 0,
            untouched: true,
            threads,
        };
        Ok(Self { operator: Box::new(sharded), by })
    }
}

/// The same grouping over rows of so many columns with the values of its expressions after them, and those
/// expressions. Evaluated once, they route a row as they group it, even `random()`.
fn computed_once(group_by: &PhysicalGroupBy, width: usize) -> (PhysicalGroupBy, Vec<Arc<dyn PhysicalExpr>>) {
    let mut computed = Vec::new();
    let column = |(expr, name): &(Arc<dyn PhysicalExpr>, String)| {
        if expr.downcast_ref::<Column>().is_some() {
            return (Arc::clone(expr), name.clone());
        }
        computed.push(Arc::clone(expr));
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, width + computed.len() - 1));
        (column, name.clone())
    };
    let columns = group_by.expr().iter().map(column).collect();
    let (nulls, groups) = (group_by.null_expr().to_vec(), group_by.groups().to_vec());
    (PhysicalGroupBy::new(columns, nulls, groups, group_by.has_grouping_set()), computed)
}

/// Where rows have the group columns of the key.
fn places(key: &[RouteColumn], group_by: &PhysicalGroupBy) -> Result<Vec<usize>> {
    let place = |column: &RouteColumn| {
        let (expr, _) = group_by.expr().get(column.column)?;
        Some(expr.downcast_ref::<Column>()?.index())
    };
    let places = key.iter().map(place).collect::<Option<_>>();
    places.ok_or_else(|| Error::internal("a column that rows are routed by is not a group column"))
}

/// What is to be done with rows before shards can take them.
struct Routing {
    /// What is appended to the rows.
    computed: Arc<Vec<Arc<dyn PhysicalExpr>>>,
    /// What comes then: the router, or, while one operator has all of the state, what that prepares.
    next: Option<Arc<dyn Prepare>>,
}

impl Prepare for Routing {
    fn prepare(&self, rows: RecordBatch, busy: bool) -> Result<Vec<Prepared>> {
        let rows = self.with_computed(rows)?;
        match &self.next {
            Some(next) => next.prepare(rows, busy),
            None => Ok(vec![Prepared::Rows(rows)]),
        }
    }
}

impl Routing {
    fn with_computed(&self, rows: RecordBatch) -> Result<RecordBatch> {
        if self.computed.is_empty() {
            return Ok(rows);
        }
        let mut fields = rows.schema().fields().to_vec();
        let mut columns = rows.columns().to_vec();
        for (number, expr) in self.computed.iter().enumerate() {
            let value = expr.evaluate(&rows).and_then(|value| value.into_array(rows.num_rows()));
            let value = value.map_err(from_datafusion)?;
            fields.push(Arc::new(Field::new(format!("__group_{number}"), value.data_type().clone(), true)));
            columns.push(value);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// See the [module](self).
struct Sharded {
    /// The shards, or, unless it is split, one operator that has all of the state; none while they are on lanes.
    operators: Vec<Box<dyn Operator>>,
    split: bool,
    /// Threads for large batches, from the first one on, and the batch that runs on them.
    lanes: Option<Lanes>,
    running: Option<Running>,
    make: Make,
    router: Arc<Router>,
    routing: Arc<Routing>,
    /// Rows of the current batch that wait until they are worth lanes.
    waiting: Vec<Prepared>,
    waiting_rows: usize,
    /// Whether no rows of the current batch were handed on.
    untouched: bool,
    threads: usize,
    output_schema: SchemaRef,
    tables: Vec<TableDef>,
}

impl Sharded {
    fn take(&mut self, context: &BatchContext, rows: Prepared) -> Result<()> {
        match rows {
            Prepared::Shard(..) => self.take_part(context, rows),
            // They were prepared before there were shards.
            rows if self.split => {
                let routed = self.router.prepare(rows.into_rows(), true)?;
                routed.into_iter().try_for_each(|part| self.take_part(context, part))
            }
            rows => self.take_part(context, rows),
        }
    }

    /// Hands on rows at once where the batch is known to be large, otherwise when there are many.
    fn take_part(&mut self, context: &BatchContext, part: Prepared) -> Result<()> {
        let rows = part.rows().num_rows();
        if rows == 0 {
            return Ok(());
        }
        if let (Some(running), Prepared::Shard(shard, rows)) = (&self.running, &part) {
            return if running.push((*shard, rows.clone())) { Ok(()) } else { self.end_lanes().map(drop) };
        }
        self.waiting_rows += rows;
        self.waiting.push(part);
        if !self.untouched && !self.split {
            return self.hand_on(context);
        }
        if self.waiting_rows < PARALLEL_ROWS { Ok(()) } else { self.hand_on_many(context) }
    }

    /// Hands on what waits, to shards on lanes where that is worth it.
    fn hand_on_many(&mut self, context: &BatchContext) -> Result<()> {
        if !self.split && self.untouched && self.threads > 1 && self.has_many_keys()? {
            self.split()?;
        }
        if !self.split || self.threads < 2 {
            return self.hand_on(context);
        }
        let lanes = match self.lanes.take() {
            Some(lanes) => lanes,
            None => Lanes::start(self.threads.min(self.operators.len()))?,
        };
        let lanes = self.lanes.insert(lanes);
        self.running = Some(lanes.begin(std::mem::take(&mut self.operators), *context)?);
        self.waiting_rows = 0;
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.try_for_each(|part| self.take_part(context, part))
    }

    /// Hands on what waits on this thread.
    fn hand_on(&mut self, context: &BatchContext) -> Result<()> {
        self.untouched = false;
        self.waiting_rows = 0;
        for rows in std::mem::take(&mut self.waiting) {
            match rows {
                Prepared::Shard(shard, rows) => self.operators[shard].push(context, 0, rows)?,
                rows => self.operators[0].push_prepared(context, vec![rows])?,
            }
        }
        Ok(())
    }

    /// Whether looking up keys is most of the work; with few keys routing would cost more than it saves.
    fn has_many_keys(&self) -> Result<bool> {
        let Some(sample) = self.waiting.iter().map(Prepared::rows).max_by_key(|rows| rows.num_rows()) else {
            return Ok(false);
        };
        let sample = sample.slice(0, sample.num_rows().min(SAMPLE_ROWS));
        let (rows, enough) = (sample.num_rows(), if self.state_rows() < MANY_KEYS { 2 } else { 4 });
        Ok(self.router.count_keys(sample)? * enough >= rows)
    }

    /// What the shards on lanes have emitted.
    fn end_lanes(&mut self) -> Result<Vec<RecordBatch>> {
        let running = self.running.take().ok_or_else(unexpected_end)?;
        let (operators, outputs) = running.finish()?;
        self.operators = operators;
        Ok(outputs)
    }

    /// Splits the one operator: its state is given to shards as that of a checkpoint would be. Nothing of the current
    /// batch was handed on to it.
    fn split(&mut self) -> Result<()> {
        let shards = (self.make)(self.router.shards())?;
        let whole = std::mem::replace(&mut self.operators, shards);
        self.split = true;
        let computed = Arc::clone(&self.routing.computed);
        self.routing = Arc::new(Routing { computed, next: Some(Arc::clone(&self.router) as _) });
        for table in self.tables.clone() {
            for operator in &whole {
                let rows = operator.snapshot(&table.name)?;
                rows.into_iter().try_for_each(|rows| self.restore(&table.name, rows))?;
            }
        }
        for rows in std::mem::take(&mut self.waiting) {
            self.waiting.extend(self.router.prepare(rows.into_rows(), true)?);
        }
        Ok(())
    }

    /// Whether rows of this table have a key.
    fn is_keyed(&self, table: &str) -> bool {
        let keyless = TableKind::Keyed { key_columns: 0 };
        self.tables.iter().any(|def| def.name == table && def.kind != keyless)
    }
}

fn unexpected_end() -> Error {
    Error::internal("a shard of an operator panicked")
}

impl Operator for Sharded {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output_schema)
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        if input != 0 {
            return Err(Error::internal(format!("an operator in shards has one input: input={input}")));
        }
        let rows = self.routing.with_computed(batch)?;
        self.take(context, Prepared::Rows(rows))
    }

    fn preparation(&self) -> Option<Arc<dyn Prepare>> {
        Some(Arc::clone(&self.routing) as Arc<dyn Prepare>)
    }

    fn push_prepared(&mut self, context: &BatchContext, rows: Vec<Prepared>) -> Result<()> {
        rows.into_iter().try_for_each(|rows| self.take(context, rows))
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        if self.running.is_some() {
            return coalesce(self.end_lanes()?);
        }
        self.hand_on(context)?;
        self.untouched = true;
        let outputs = self.operators.iter_mut().map(|shard| shard.finish(context));
        coalesce(outputs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn late_rows(&self) -> u64 {
        self.operators.iter().map(|shard| shard.late_rows()).sum()
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        self.operators.iter().any(|shard| shard.wakes_at(watermark))
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.operators.iter().filter_map(|shard| shard.due_at()).min()
    }
}

impl Stateful for Sharded {
    fn tables(&self) -> Vec<TableDef> {
        self.tables.clone()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let mut all: Vec<TableDelta> = Vec::new();
        for shard in &mut self.operators {
            for delta in shard.take_deltas()? {
                match all.iter_mut().find(|other| other.table == delta.table) {
                    Some(other) => {
                        other.upserts.extend(delta.upserts);
                        other.deletes.extend(delta.deletes);
                        // Shards differ only in whether they had something to evict.
                        other.evict_below = other.evict_below.max(delta.evict_below);
                    }
                    None => all.push(delta),
                }
            }
        }
        for delta in &mut all {
            delta.upserts = coalesce(std::mem::take(&mut delta.upserts))?;
            delta.deletes = coalesce(std::mem::take(&mut delta.deletes))?;
        }
        Ok(all)
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        // The first one tells what is wrong with rows of an unknown table.
        if !self.split && self.threads > 1 && self.state_rows() + rows.num_rows() >= MANY_KEYS {
            // Now, while there is little to move.
            self.split()?;
        }
        let keyed = self.split && self.is_keyed(table);
        let parts = if keyed { self.router.saved(rows)? } else { vec![(0, rows)] };
        parts.into_iter().try_for_each(|(shard, rows)| self.operators[shard].restore(table, rows))
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let rows = self.operators.iter().map(|shard| shard.snapshot(table)).collect::<Result<Vec<_>>>()?;
        coalesce(rows.into_iter().flatten().collect())
    }

    fn state_rows(&self) -> usize {
        self.operators.iter().map(|shard| shard.state_rows()).sum()
    }

    fn state_bytes(&self) -> usize {
        self.operators.iter().map(|shard| shard.state_bytes()).sum()
    }
}

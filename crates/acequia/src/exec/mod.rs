//! Stateful operators: what a micro-batch changes in their state, and what that changes in their output.
//!
//! An operator is pushed the change batches of one micro-batch, then finished once: it then emits, evicts, and has
//! its state delta ready (see [`acequia_core::state::Stateful`]). It never sees a logical plan, a clock or a store.
//!
//! A change batch is a record batch. On an edge that the plan knows to be *retracting* its last column is
//! [`WEIGHT`], an Int64 that is never NULL and never 0: `+n` inserts the row n times, `-n` takes it back n times.
//! On an *insert-only* edge there is no such column and every row counts `+1`.

mod aggregate;
mod asof;
mod delta;
mod detach;
mod drop_duplicates;
mod first_rows;
mod given;
mod group_states;
mod join;
mod key_table;
mod keyed_state;
mod materialize;
mod moving_bound;
mod partitions;
mod route;
mod row_bytes;
mod row_store;
mod rows_table;
mod session_aggregate;
mod sharded;
#[cfg(test)]
mod twin;

pub use aggregate::{AggregateOperator, AggregateSpec, Emit, KeyedRows, TimeBound, TimeKey, raw_input};
pub use asof::{AsofOperator, AsofSide, AsofSpec, Nearest};
pub use drop_duplicates::{DropDuplicatesOperator, DropDuplicatesSpec, Expiry};
pub use first_rows::{FirstRowsOperator, FirstRowsSpec};
pub use join::{JoinEmit, JoinEviction, JoinOperator, JoinSide, JoinSpec};
pub use keyed_state::{
    Codec, Grouped, KeyCodec, KeyContext, KeyedProcessor, KeyedState, KeyedStateOperator, KeyedStateSpec,
    Keys, SubKey, TIMERS, TimeMode, Value, Variable, VariableKind,
};
pub use materialize::{MaterializeOperator, MaterializeSpec};
pub use moving_bound::{BatchBound, Comparison, MovingBound, MovingBoundOperator, MovingBoundSpec};
pub use partitions::{
    Distance, First, Gives, Near, Number, PartitionsOperator, PartitionsSpec, Reach, Relation, Running,
    RunningValue, See,
};
pub use session_aggregate::{SessionAggregateOperator, SessionColumns, SessionSpec};
pub use sharded::{Sharding, Shards};

use acequia_core::state::Stateful;
use acequia_core::{BatchId, Result, Timestamp, Watermark};
use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

/// How many cores the process may use.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// The name of the weight column of retracting edges, always the last one.
pub const WEIGHT: &str = "__weight";

/// What is constant for a whole micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchContext {
    /// The number of the micro-batch.
    pub batch: BatchId,
    /// The watermark in force: decides what is final and what is evicted in this batch.
    pub watermark: Watermark,
    /// The watermark by which rows that are pushed are late: the one in force, or, for an input that reads what an
    /// operator emits, that of the batch before, since what the current one made final is emitted only now.
    pub late_watermark: Watermark,
    /// The watermark in force in the batch before: what an operator emits with an event time must not be below it, as
    /// those that read it take rows from there on.
    pub previous_watermark: Watermark,
    /// The batch's time: what `now()` and `PROCTIME()` give.
    pub batch_time: Timestamp,
    /// Whether [`Stateful::take_deltas`] will be called after this batch. Without a durable checkpoint no operator
    /// needs to remember what changed.
    pub durable: bool,
}

/// What can be done with the rows of an operator's only input before it takes them, on any thread: it depends on
/// nothing but the rows.
pub trait Prepare: Send + Sync {
    /// The rows, in their order. While the operator is `busy` with others it is worth doing for them what makes its own
    /// work less, even if that is more work in all.
    ///
    /// # Errors
    /// `Data` for values that cannot be computed with.
    fn prepare(&self, rows: RecordBatch, busy: bool) -> Result<Vec<Prepared>>;
}

/// Rows that were prepared.
pub enum Prepared {
    /// Nothing more is known of them.
    Rows(RecordBatch),
    /// They belong to this shard.
    Shard(usize, RecordBatch),
    /// Their keys are known.
    Keyed(RecordBatch, KeyedRows),
}

impl Prepared {
    fn rows(&self) -> &RecordBatch {
        match self {
            Self::Rows(rows) | Self::Shard(_, rows) | Self::Keyed(rows, _) => rows,
        }
    }

    fn into_rows(self) -> RecordBatch {
        match self {
            Self::Rows(rows) | Self::Shard(_, rows) | Self::Keyed(rows, _) => rows,
        }
    }
}

/// A stateful operator.
pub trait Operator: Stateful + Send {
    /// The columns of what it emits, [`WEIGHT`] included where the edge is retracting.
    fn output_schema(&self) -> SchemaRef;

    /// Takes rows of one of its inputs.
    ///
    /// # Errors
    /// `Data` for values that cannot be computed with; the batch then fails and the operator is thrown away.
    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()>;

    /// How rows can be prepared that come to [`Operator::push_prepared`] instead; none when there is nothing to gain.
    fn preparation(&self) -> Option<Arc<dyn Prepare>> {
        None
    }

    /// Takes rows that [`Operator::preparation`] has prepared, in this batch.
    ///
    /// # Errors
    /// As [`Operator::push`].
    fn push_prepared(&mut self, context: &BatchContext, rows: Vec<Prepared>) -> Result<()> {
        rows.into_iter().try_for_each(|rows| self.push(context, 0, rows.into_rows()))
    }

    /// Ends the batch: gives what changed in the output, then evicts what the watermark has passed.
    ///
    /// # Errors
    /// As [`Operator::push`].
    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>>;

    /// Rows of the current (or just finished) batch that came too late to be used.
    fn late_rows(&self) -> u64;

    /// Whether a batch without data at this watermark would emit or evict anything.
    fn wakes_at(&self, watermark: Watermark) -> bool;

    /// The first batch time at which a batch without data would do something; none when that is no matter of time.
    fn due_at(&self) -> Option<Timestamp> {
        None
    }
}

/// The columns of a retracting edge over rows with these columns.
pub(crate) fn with_weight(schema: &SchemaRef) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(Field::new(WEIGHT, DataType::Int64, false)));
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The rows, each with this weight.
fn append_weight(batch: &RecordBatch, schema: &SchemaRef, weight: i64) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_value(weight, batch.num_rows())));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

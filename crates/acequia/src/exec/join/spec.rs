//! What the planner says about a join.

use crate::exec::TimeBound;
use acequia_core::OperatorId;
use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::physical_plan::joins::utils::JoinFilter;

/// What the planner says about a join of two inputs that change.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// Which rows come out.
    pub kind: JoinType,
    /// Both inputs: left, right.
    pub sides: [JoinSide; 2],
    /// What a pair must pass beside equal keys, over the columns of both sides.
    pub filter: Option<JoinFilter>,
    /// Whether NULL in a key equals NULL.
    pub nulls_equal: bool,
    /// Whether it is NOT IN: an anti join of one key column in which a NULL on the right side matches everything.
    pub null_aware: bool,
    /// The columns of the output, without a weight.
    pub output_schema: SchemaRef,
    /// When rows without a partner come out.
    pub emit: JoinEmit,
}

/// An input of a join.
#[derive(Debug, Clone)]
pub struct JoinSide {
    /// Its columns, without a weight.
    pub schema: SchemaRef,
    /// Those that must be equal to the other side's, in the same order; none: every pair is looked at.
    pub key: Vec<usize>,
    /// Those that come out.
    pub output: Vec<usize>,
    /// Whether its rows may be taken back.
    pub retracting: bool,
    /// What bounds its time; nothing if there is none.
    pub eviction: Option<JoinEviction>,
}

/// When rows of a side are late, and when they leave.
#[derive(Debug, Clone)]
pub struct JoinEviction {
    /// The time column of the side.
    pub column: usize,
    /// The field of it that holds the time, where it is a window.
    pub field: Option<usize>,
    /// Rows below this are late.
    pub late: TimeBound,
    /// Rows below this have no partner to come, and leave; none: they never do.
    pub leave: Option<TimeBound>,
}

/// How a join tells what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinEmit {
    /// Rows are only added: pairs of sides whose rows are, or rows that have found a partner.
    Inserts,
    /// Changes with weights: a row without a partner comes out at once, and is taken back when it finds one.
    Changes,
    /// Rows are only added: one without a partner comes out when it leaves, as no partner can come any more.
    Final,
}

//! What the planner says about an ASOF join.

use crate::exec::{Emit, TimeBound};
use acequia_core::OperatorId;
use arrow::datatypes::SchemaRef;

/// What the planner says about an ASOF join.
#[derive(Debug, Clone)]
pub struct AsofSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// Both inputs: left, right. Their keys and times have the same types.
    pub sides: [AsofSide; 2],
    /// Which right row is the nearest one.
    pub nearest: Nearest,
    /// Whether left rows without a right row come out, with NULLs.
    pub keeps_unmatched: bool,
    /// The columns of the output, without a weight.
    pub output_schema: SchemaRef,
    /// [`Emit::Changes`], or [`Emit::Final`]: each left row once, when no right row can come for it any more.
    pub emit: Emit,
    /// The least times that rows of either side still have; without them nothing is late and nothing leaves.
    pub bounds: Option<[TimeBound; 2]>,
}

/// An input of an ASOF join.
#[derive(Debug, Clone)]
pub struct AsofSide {
    /// Its columns, without a weight.
    pub schema: SchemaRef,
    /// Those that must be equal to the other side's, in the same order.
    pub key: Vec<usize>,
    /// The one that is compared, of a type of fixed width.
    pub time: usize,
    /// How many of the columns, from the first on, come out.
    pub output: usize,
}

/// Which right row a left row gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    /// The first one from its time on, rather than the last one up to it.
    pub next: bool,
    /// Whether one of the very same time counts.
    pub same: bool,
}

//! What the planner says of a bound and of what is compared with it.

use crate::exec::TimeBound;
use acequia_core::{OperatorId, Result, Timestamp};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use std::fmt;
use std::sync::Arc;

/// On which side of the bound rows pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `value < bound`
    Less,
    /// `value <= bound`
    LessOrEqual,
    /// `value > bound`
    Greater,
    /// `value >= bound`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether values above the bound pass.
    pub fn passes_above(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    /// Whether a value that equals the bound is on the side below the cut.
    pub(super) fn cuts_above_equal(self) -> bool {
        matches!(self, Self::Greater | Self::LessOrEqual)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

/// A bound that is a function of the batch's time, and never goes back.
pub trait BatchBound: fmt::Debug + Send + Sync {
    /// The bound at a batch time: one value of the type of what is compared with it, not NULL.
    ///
    /// # Errors
    /// `Data` when it cannot be computed.
    fn at(&self, time: Timestamp) -> Result<ArrayRef>;
}

/// Where the bound comes from.
#[derive(Debug, Clone)]
pub enum MovingBound {
    /// From input 1, a relation of this one column and at most one row. Without a row, or NULL in it, nothing passes.
    Row(SchemaRef),
    /// From the batch's time.
    Time(Arc<dyn BatchBound>),
    /// The watermark: rows are held until it has passed them. Those that come behind it are late.
    Watermark(TimeBound),
}

/// What the planner says.
#[derive(Debug, Clone)]
pub struct MovingBoundSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The columns of rows, without a weight.
    pub schema: SchemaRef,
    /// How many of the first columns are given.
    pub given: usize,
    /// The column that is compared with the bound. Rows with NULL in it never pass.
    pub compared: usize,
    /// How.
    pub comparison: Comparison,
    /// Whether rows may be taken back.
    pub retracting: bool,
    /// The bound.
    pub bound: MovingBound,
}

impl MovingBoundSpec {
    /// Whether rows are only given, since time makes ever more of them pass.
    pub fn only_adds(&self) -> bool {
        !matches!(self.bound, MovingBound::Row(_)) && !self.comparison.passes_above() && !self.retracting
    }
}

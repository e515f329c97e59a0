//! By which columns the rows of an operator can be routed to shards: what operators say to [`super::sharded`].

use arrow::datatypes::DataType;

/// A column of the key by which rows are routed. Any part of an operator's key will do, as long as saved rows have it.
#[derive(Debug, Clone)]
pub(super) struct RouteColumn {
    /// Which group column it is, or which column of the rows where an operator has no group columns.
    pub(super) column: usize,
    /// Where the rows of keyed state tables have it.
    pub(super) saved: usize,
    /// How it is saved.
    pub(super) value: RouteValue,
}

/// How a column of the key is saved.
#[derive(Debug, Clone)]
pub(super) enum RouteValue {
    /// As itself, in this type.
    Plain(DataType),
    /// As the time in it, a plain number.
    Time {
        /// The field of a struct column that holds the time.
        field: Option<usize>,
    },
}

//! What a session aggregate does, as the planner describes it.

use crate::exec::aggregate::{Emit, TimeBound, from_int64, to_int64};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::PhysicalGroupBy;
use std::sync::Arc;

/// The group columns that hold the session. Over a row they are the session of that row alone: its event time, and
/// that plus its gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionColumns {
    /// A struct{start, end}.
    Struct(usize),
    /// Two columns.
    Pair {
        /// The start.
        start: usize,
        /// The end, exclusive.
        end: usize,
    },
}

/// An aggregate by session windows over insert-only input.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The rows that are pushed.
    pub input_schema: SchemaRef,
    /// The group columns, over the input; without grouping sets.
    pub group_by: PhysicalGroupBy,
    /// The aggregates, over the input.
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// The FILTER of each aggregate.
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Group columns, then aggregates.
    pub output_schema: SchemaRef,
    /// Which group columns are the session.
    pub session: SessionColumns,
    /// When sessions are final, as a bound of their end.
    pub bound: Option<TimeBound>,
    /// What is emitted. Sessions grow and merge, which takes rows back: [`Emit::Upserts`] is the same as
    /// [`Emit::Changes`] here, with weights.
    pub emit: Emit,
}

impl SessionSpec {
    /// Checks that the parts fit together.
    pub(super) fn check(&self) -> Result<()> {
        if self.group_by.has_grouping_set() {
            return Err(Error::unsupported(
                "session windows cannot be combined with grouping sets; write one query for each set",
            ));
        }
        let groups = self.group_by.num_group_exprs();
        let fits = self.output_schema.fields().len() == groups + self.aggregates.len();
        let (start, end) = match self.session {
            SessionColumns::Struct(column) => (column, column),
            SessionColumns::Pair { start, end } => (start, end),
        };
        if !fits || start >= groups || end >= groups || self.filters.len() != self.aggregates.len() {
            return Err(Error::internal("the output of a session aggregate does not fit its parts"));
        }
        if let SessionColumns::Struct(column) = self.session {
            self.struct_types(column)?;
        }
        Ok(())
    }

    /// Group columns other than the session.
    pub(super) fn key_columns(&self) -> Vec<usize> {
        (0..self.group_by.num_group_exprs()).filter(|column| !self.is_session(*column)).collect()
    }

    pub(super) fn is_session(&self, column: usize) -> bool {
        match self.session {
            SessionColumns::Struct(session) => column == session,
            SessionColumns::Pair { start, end } => column == start || column == end,
        }
    }

    fn struct_types(&self, column: usize) -> Result<(DataType, DataType)> {
        match self.output_schema.field(column).data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                Ok((fields[0].data_type().clone(), fields[1].data_type().clone()))
            }
            other => {
                Err(Error::internal(format!("a session is not a struct of start and end: type={other}")))
            }
        }
    }

    /// Start and end of each row's own session; NULL where there is none.
    pub(super) fn intervals(&self, groups: &[ArrayRef]) -> Result<(Int64Array, Int64Array)> {
        let missing = || Error::internal("the session column is missing");
        match self.session {
            SessionColumns::Pair { start, end } => {
                let column = |c: usize| to_int64(groups.get(c).ok_or_else(missing)?);
                Ok((column(start)?, column(end)?))
            }
            SessionColumns::Struct(column) => {
                let session = groups.get(column).and_then(|c| c.as_struct_opt()).ok_or_else(missing)?;
                let field = |i: usize| {
                    let times = to_int64(session.column(i))?;
                    let nulls = NullBuffer::union(times.nulls(), session.nulls());
                    Ok::<_, Error>(Int64Array::new(times.values().clone(), nulls))
                };
                Ok((field(0)?, field(1)?))
            }
        }
    }

    /// All group columns, from the keys and the intervals.
    pub(super) fn group_columns(
        &self,
        keys: Vec<ArrayRef>,
        starts: &Int64Array,
        ends: &Int64Array,
    ) -> Result<Vec<ArrayRef>> {
        let mut keys = keys.into_iter();
        let mut columns = Vec::with_capacity(self.group_by.num_group_exprs());
        for column in 0..self.group_by.num_group_exprs() {
            let data_type = self.output_schema.field(column).data_type();
            match self.session {
                SessionColumns::Pair { start, .. } if column == start => {
                    columns.push(from_int64(starts, data_type)?)
                }
                SessionColumns::Pair { end, .. } if column == end => {
                    columns.push(from_int64(ends, data_type)?)
                }
                SessionColumns::Struct(session) if column == session => {
                    columns.push(self.structs(column, starts, ends)?)
                }
                _ => columns.extend(keys.next()),
            }
        }
        Ok(columns)
    }

    fn structs(&self, column: usize, starts: &Int64Array, ends: &Int64Array) -> Result<ArrayRef> {
        let (start, end) = self.struct_types(column)?;
        let columns = vec![from_int64(starts, &start)?, from_int64(ends, &end)?];
        let DataType::Struct(fields) = self.output_schema.field(column).data_type() else {
            return Err(Error::internal("a session is not a struct"));
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
    }
}

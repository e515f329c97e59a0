//! The logical node of `drop_duplicates` and `drop_duplicates_within_watermark`: the first row per key.
//!
//! It has no physical form of its own: a streaming plan replaces it by its operator; of the first kind,
//! [`super::to_batch`] makes a DISTINCT ON. Which row of a key comes first is the order of arrival.

use super::invalid;
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::fmt;
use std::sync::Arc;

/// Keeps the first row per key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct DropDuplicates {
    input: LogicalPlan,
    columns: Vec<Column>,
    within: Option<Column>,
}

impl DropDuplicates {
    /// Keeps the first row per `columns` of `input` (all of them, if none are given). With `within`, the event-time
    /// column, a key is forgotten once its first event time plus the watermark's delay has passed.
    ///
    /// # Errors
    /// `Invalid` when a column is not there.
    pub fn try_new(input: LogicalPlan, columns: Vec<Column>, within: Option<Column>) -> Result<Self> {
        let columns = if columns.is_empty() { input.schema().columns() } else { columns };
        let columns = columns.into_iter().map(|c| qualified(&input, c)).collect::<Result<Vec<_>>>()?;
        let within = within.map(|c| qualified(&input, c)).transpose()?;
        Ok(Self { input, columns, within })
    }

    /// The node as a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node behind a plan, when it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        super::node_of(plan)
    }

    /// Where the rows come from.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The key, as the input names it.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether keys are forgotten once the watermark has passed their first event time plus its delay.
    pub fn within_watermark(&self) -> bool {
        self.within.is_some()
    }

    /// The event-time column of [`DropDuplicates::within_watermark`].
    pub fn event_time(&self) -> Option<&Column> {
        self.within.as_ref()
    }
}

/// The column with the qualifier that the input gives it.
pub(crate) fn qualified(input: &LogicalPlan, column: Column) -> Result<Column> {
    let index = input
        .schema()
        .maybe_index_of_column(&column)
        .ok_or_else(|| invalid(format!("no such column: `{}`; {}", column.flat_name(), known(input))))?;
    Ok(Column::from(input.schema().qualified_field(index)))
}

fn known(input: &LogicalPlan) -> String {
    let names: Vec<_> = input.schema().fields().iter().map(|f| f.name().as_str()).collect();
    format!("columns: {}", names.join(", "))
}

impl UserDefinedLogicalNodeCore for DropDuplicates {
    fn name(&self) -> &str {
        "DropDuplicates"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.columns.iter().chain(&self.within).cloned().map(Expr::Column).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(Column::flat_name).collect();
        write!(f, "DropDuplicates: {}", columns.join(", "))?;
        match &self.within {
            Some(time) => write!(f, " within watermark of {time}"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let columns: Option<Vec<Column>> = exprs.iter().map(|e| e.try_as_col().cloned()).collect();
        match (columns, inputs.as_slice()) {
            (Some(mut columns), [input]) if columns.len() == self.expressions().len() => {
                let within = if self.within.is_some() { columns.pop() } else { None };
                Self::try_new(input.clone(), columns, within)
            }
            _ => Err(super::refuse(acequia_core::Error::internal(format!(
                "duplicates were rewritten to something else: {exprs:?}"
            )))),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needed = output_columns.to_vec();
        for column in self.columns.iter().chain(&self.within) {
            needed.push(self.input.schema().maybe_index_of_column(column)?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

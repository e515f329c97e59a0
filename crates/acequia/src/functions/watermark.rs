//! The logical node that marks a relation's event time: rows are expected at most `delay` behind the latest seen.
//!
//! It passes its rows through. It keeps its column alive when columns are pruned, and lets no filter or limit pass
//! below, so that rows which a query does not use still move the watermark of their stream. It has no physical form
//! of its own: a streaming plan replaces it by its observer, a batch plan drops it. Over a relation that has watermarks
//! already, and keeps them, it only says which column they are about.

use super::duplicates::qualified;
use super::invalid;
use acequia_core::time::format_interval;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Marks the event-time column of its input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct EventTimeWatermark {
    input: LogicalPlan,
    column: Column,
    /// None where the watermarks below hold for the column too.
    own: Option<OwnWatermark>,
}

/// A watermark that follows the rows of a mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct OwnWatermark {
    /// Its name, unique in its query.
    pub id: String,
    /// How far behind the latest event time rows are still expected, in microseconds.
    pub delay: i64,
}

impl EventTimeWatermark {
    /// Marks `column` of `input`; `delay` is in microseconds; `id` names the watermark, unique in its query (the same
    /// stream read twice may share it).
    ///
    /// # Errors
    /// `Invalid` when the column is not there or not a timestamp, and for a negative delay.
    pub fn try_new(input: LogicalPlan, column: Column, delay: i64, id: impl Into<String>) -> Result<Self> {
        let column = qualified(&input, column)?;
        check_type(&column, &Expr::Column(column.clone()).get_type(input.schema())?)?;
        if delay < 0 {
            return Err(invalid(format!("watermark delay is negative: {}", format_interval(delay))));
        }
        Ok(Self { input, column, own: Some(OwnWatermark { id: id.into(), delay }) })
    }

    /// Marks `column` of `input`, none of whose rows is below the watermarks of the marks in `input`.
    ///
    /// # Errors
    /// `Invalid` when the column is not there or not a timestamp, and when there is no mark.
    pub fn following(input: LogicalPlan, column: Column) -> Result<Self> {
        let column = qualified(&input, column)?;
        check_type(&column, &Expr::Column(column.clone()).get_type(input.schema())?)?;
        if !has_watermark(&input) {
            return Err(invalid(format!(
                "the input has no watermark that the event time could follow: column=`{}`; declare one on it",
                column.name
            )));
        }
        Ok(Self { input, column, own: None })
    }

    /// The node as a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node behind a plan, when it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        super::node_of(plan)
    }

    /// What is marked.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The event-time column, as the input names it.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// The event-time column's place in the input (and output).
    ///
    /// # Errors
    /// When the column is gone.
    pub fn column_index(&self) -> Result<usize> {
        self.input.schema().index_of_column(&self.column)
    }

    /// The watermark that follows the marked rows, unless those below hold for them.
    pub fn own(&self) -> Option<&OwnWatermark> {
        self.own.as_ref()
    }

    /// The names of the watermarks that hold for the column.
    pub fn watermarks(&self) -> BTreeSet<String> {
        match &self.own {
            Some(own) => BTreeSet::from([own.id.clone()]),
            None => watermarks_in(&self.input),
        }
    }
}

/// The names of all watermarks of a plan, subqueries aside.
pub fn watermarks_in(plan: &LogicalPlan) -> BTreeSet<String> {
    let own = EventTimeWatermark::of(plan).and_then(EventTimeWatermark::own).map(|own| own.id.clone());
    own.into_iter().chain(plan.inputs().into_iter().flat_map(watermarks_in)).collect()
}

fn check_type(column: &Column, data_type: &DataType) -> Result<()> {
    let way_out = match data_type {
        DataType::Timestamp(_, _) => return Ok(()),
        DataType::Date32 | DataType::Date64 => "cast it, as in CAST(c AS TIMESTAMP(3)), in a computed column",
        _ => "cast it or give its format",
    };
    Err(invalid(format!(
        "watermark column is not a timestamp: column=`{}` type=`{data_type}`; {way_out}",
        column.name
    )))
}

impl UserDefinedLogicalNodeCore for EventTimeWatermark {
    fn name(&self) -> &str {
        "EventTimeWatermark"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.column.clone())]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.own {
            Some(own) => {
                write!(f, "EventTimeWatermark: {} delay={}", self.column, format_interval(own.delay))
            }
            None => write!(f, "EventTimeWatermark: {} as the input", self.column),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.as_slice(), inputs.as_slice()) {
            ([Expr::Column(column)], [input]) => {
                Ok(Self { input: input.clone(), column: column.clone(), own: self.own.clone() })
            }
            _ => Err(super::refuse(acequia_core::Error::internal(format!(
                "watermark was rewritten to something else: {exprs:?}"
            )))),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needed = output_columns.to_vec();
        needed.push(self.column_index().ok()?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Gives marks of different relations different ids: the second `t` becomes `t#2`, in the order of the plan. The same
/// relation, marked alike and read twice, keeps one.
pub(crate) fn with_unique_ids(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut seen: Vec<EventTimeWatermark> = Vec::new();
    let renamed = plan.transform_up_with_subqueries(|node| {
        let Some(mark) = EventTimeWatermark::of(&node) else { return Ok(Transformed::no(node)) };
        let Some(OwnWatermark { id, delay }) = mark.own.clone() else { return Ok(Transformed::no(node)) };
        let (mut renamed, mut n) = (mark.clone(), 1);
        let id_of = |mark: &EventTimeWatermark| mark.own.as_ref().map(|own| own.id.clone());
        while seen.iter().any(|other| id_of(other) == id_of(&renamed) && *other != renamed) {
            n += 1;
            renamed.own = Some(OwnWatermark { id: format!("{id}#{n}"), delay });
        }
        if !seen.contains(&renamed) {
            seen.push(renamed.clone());
        }
        Ok(if n == 1 { Transformed::no(node) } else { Transformed::yes(renamed.into_plan()) })
    })?;
    Ok(renamed.data)
}

/// Whether a plan has a mark anywhere below, subqueries aside.
pub fn has_watermark(plan: &LogicalPlan) -> bool {
    EventTimeWatermark::of(plan).is_some() || plan.inputs().into_iter().any(has_watermark)
}

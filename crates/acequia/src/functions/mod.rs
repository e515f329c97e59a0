//! Event time in SQL: windows, watermarks, the batch's time, and which output columns a watermark bounds.
//!
//! ```text
//! SQL text ── `__tumble(..)`, `__with_watermark(..)` ──> [`relation`]  ─┐
//!          ── `window(ts, '10 minutes')`, `hop(..)`  ──> [`call`] ──────┴─> [`resolve`] ──> [`window`]
//! ```
//!
//! The functions that SQL names ([`call`]) only have a type; [`resolve_windows`] checks their constants and replaces
//! them by functions that hold the constants in the column's own unit, so that a batch costs one pass over its `i64`s.
//! All of it works on static tables too: the same SQL is planned for the stream and for the batch that it is
//! compared with. What only a stream has (a watermark) is dropped by [`to_batch`], which also gives session windows
//! their batch form.
//!
//! Rows whose event time is NULL belong to no window: they are left out wherever a window is a grouping key, is
//! selected, or is added by a table function (as in Spark).

pub mod asof_join;
pub mod batch;
pub mod batch_time;
pub mod bound;
pub mod call;
pub mod duplicates;
pub mod grid;
pub mod interval;
pub mod join_time;
pub mod lineage;
pub mod not_unique;
pub mod relation;
pub mod resolve;
pub mod row_function;
pub mod session;
pub mod set_operations;
pub mod time_column;
pub mod to_char;
pub mod watermark;
pub mod window;
mod window_keys;
pub mod window_time;

mod expand;
mod extremes;
mod timestamps;
mod twin_names;

use acequia_core::Error;
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::ScalarUDF;
use datafusion::optimizer::{Analyzer, Optimizer};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

pub use asof_join::AsofJoin;
pub use batch::{merge_sessions, to_batch};
pub use batch_time::{
    BatchTime, bind_batch_time, fix_batch_time, follows_batch_time, is_batch_time, read_from,
    reads_batch_time,
};
pub use bound::bound;
pub use duplicates::DropDuplicates;
pub(crate) use expand::own_event_time;
#[cfg(test)]
pub(crate) use extremes::InTotalOrder;
pub(crate) use extremes::{End, end_of};
pub use grid::{Grid, Shape, WindowSpec};
pub use join_time::JoinTimes;
pub use lineage::{TimeColumns, event_time_columns};
pub use resolve::{ResolveWindows, resolve_windows};
pub use row_function::{RowFunction, is_volatile};
pub use session::{SessionFunction, SessionScope};
pub use time_column::{SessionPartition, TimeColumn, TimeRole, WindowOf};
pub use watermark::{EventTimeWatermark, OwnWatermark, watermarks_in};
pub use window::{HopFunction, TumbleFunction};

/// Every scalar function of this module, by the names that SQL uses.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<Arc<ScalarUDF>> =
        call::GroupFunction::all().into_iter().map(|f| Arc::new(ScalarUDF::from(f))).collect();
    all.push(Arc::new(ScalarUDF::from(to_char::ToChar::default())));
    all.push(Arc::new(ScalarUDF::from(window_time::WindowTime::default())));
    all.push(Arc::new(ScalarUDF::from(batch_time::QueryTime::proctime())));
    all.push(Arc::new(ScalarUDF::from(batch_time::QueryTime::localtimestamp())));
    all
}

/// What a session's plans are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Continuous queries: sessions, marks and duplicates stay, for the streaming planner.
    Streaming,
    /// Queries over static tables: they get their batch form ([`to_batch`]).
    Batch,
}

/// Adds the functions, the planner of the table functions, [`ResolveWindows`], what EXCEPT and INTERSECT need, `min` and
/// `max` of floats in their total order, and rules that keep DataFusion's own from taking columns for others to a session.
///
/// The first rule goes before DataFusion's own, since it may settle types that type coercion then relies on.
///
/// # Errors
/// When the session refuses the planner of the table functions.
pub fn install(builder: SessionStateBuilder, mode: Mode) -> datafusion::common::Result<SessionState> {
    let mut builder = builder;
    builder.scalar_functions().get_or_insert_default().extend(scalar_functions());
    let rules = &mut builder.analyzer().get_or_insert_with(Analyzer::new).rules;
    rules.insert(0, Arc::new(ResolveWindows { mode }));
    rules.insert(0, Arc::new(set_operations::CountCopies));
    // Once types are known.
    rules.push(Arc::new(extremes::InTotalOrder));
    let rules = &mut builder.optimizer().get_or_insert_with(Optimizer::new).rules;
    rules.push(Arc::new(window_keys::NamelessWindowKeys));
    // The rule would compute `window(ts).start` below the mark that makes `ts` an event time; in 55.2 it also fails
    // where a projection has columns with and without the name of their table.
    let config = builder.config().get_or_insert_default();
    config.options_mut().optimizer.enable_leaf_expression_pushdown = false;
    let mut state = twin_names::guard(builder.build());
    state.register_relation_planner(Arc::new(relation::WindowTableFunctions))?;
    Ok(state)
}

/// [`install`] for a session that is there already.
///
/// # Errors
/// When the session refuses the planner of the table functions.
pub fn register(context: &SessionContext, mode: Mode) -> datafusion::common::Result<()> {
    let state = context.state_ref();
    let mut state = state.write();
    *state = install(SessionStateBuilder::new_from_existing(state.clone()), mode)?;
    Ok(())
}

/// The logical node of this kind that a plan is.
pub(crate) fn node_of<T: 'static>(plan: &LogicalPlan) -> Option<&T> {
    match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

/// Carries one of our errors, with its kind, through DataFusion's planner.
pub(crate) fn refuse(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// [`refuse`] of something that the user can mend.
pub(crate) fn invalid(message: impl Into<String>) -> DataFusionError {
    refuse(Error::invalid(message))
}

#[cfg(test)]
mod tests;

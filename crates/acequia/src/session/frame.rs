//! Transformations of streams from Rust: DataFusion's DataFrame with event time.

use super::{DataStreamWriter, Session};
use crate::error::from_datafusion;
use crate::functions::relation::with_watermark;
use acequia_core::{Result, time::parse_interval};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::DataFrame as BatchFrame;

/// The rows of a stream or table and what is computed from them; nothing runs until it is written.
#[derive(Debug, Clone)]
pub struct DataFrame {
    session: Session,
    frame: BatchFrame,
}

impl DataFrame {
    pub(super) fn new(session: Session, frame: BatchFrame) -> Self {
        Self { session, frame }
    }

    /// The logical plan.
    pub fn logical_plan(&self) -> &LogicalPlan {
        self.frame.logical_plan()
    }

    /// These expressions as columns.
    ///
    /// # Errors
    /// `Invalid` for an expression that does not fit the columns.
    pub fn select(self, exprs: Vec<Expr>) -> Result<Self> {
        self.transform(|frame| frame.select(exprs))
    }

    /// The rows for which the predicate is true.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn filter(self, predicate: Expr) -> Result<Self> {
        self.transform(|frame| frame.filter(predicate))
    }

    /// One row for each distinct value of the group expressions, with the aggregates.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn aggregate(self, group: Vec<Expr>, aggregates: Vec<Expr>) -> Result<Self> {
        self.transform(|frame| frame.aggregate(group, aggregates))
    }

    /// Marks a column as event time, its watermark staying `delay` (as `10 seconds`) behind the latest value.
    ///
    /// # Errors
    /// `Invalid` when the column is not a timestamp or the delay not an interval.
    pub fn with_watermark(self, column: &str, delay: &str) -> Result<Self> {
        let delay = parse_interval(delay)?;
        let time = datafusion::prelude::ident(column);
        let state = self.session.context().state();
        let plan =
            with_watermark(self.frame.into_unoptimized_plan(), time, delay, None).map_err(from_datafusion)?;
        Ok(Self { session: self.session, frame: BatchFrame::new(state, plan) })
    }

    /// Anything else that DataFusion's DataFrame can do.
    ///
    /// # Errors
    /// What the function gives.
    pub fn transform(
        self,
        f: impl FnOnce(BatchFrame) -> datafusion::common::Result<BatchFrame>,
    ) -> Result<Self> {
        let frame = f(self.frame).map_err(from_datafusion)?;
        Ok(Self { session: self.session, frame })
    }

    /// Writes the rows as a continuous query.
    pub fn write_stream(self) -> DataStreamWriter {
        DataStreamWriter::new(self.session, self.frame.into_unoptimized_plan())
    }
}

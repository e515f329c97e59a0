//! `write_stream()`: continuous queries from Rust.

use super::Session;
use super::queries::{Planned, QuerySettings};
use crate::runtime::StreamingQuery;
use crate::sql::Trigger;
use acequia_connectors::sinks::{MemoryTable, SinkSpec};
use acequia_core::{Options, OutputMode, Result};
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;

/// Describes where and how a continuous query writes; [`DataStreamWriter::start`] starts it.
#[derive(Debug)]
pub struct DataStreamWriter {
    session: Session,
    plan: LogicalPlan,
    connector: String,
    options: Vec<(String, String)>,
    mode: Option<OutputMode>,
    settings: QuerySettings,
}

impl DataStreamWriter {
    pub(super) fn new(session: Session, plan: LogicalPlan) -> Self {
        let settings = QuerySettings::default();
        Self { session, plan, connector: "console".to_string(), options: vec![], mode: None, settings }
    }

    /// The connector, as `parquet`; `console` by default.
    #[must_use]
    pub fn format(mut self, connector: impl Into<String>) -> Self {
        self.connector = connector.into();
        self
    }

    /// An option of the connector, as in `CREATE SINK ... WITH (...)`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// What a batch gives the sink; by default `Append` where the query allows it, otherwise `Update`.
    #[must_use]
    pub fn output_mode(mut self, mode: OutputMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// When batches run; as fast as data comes by default.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.settings.trigger = Some(trigger);
        self
    }

    /// The query's name.
    #[must_use]
    pub fn query_name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// The directory of the checkpoint; without one nothing survives the process.
    #[must_use]
    pub fn checkpoint(mut self, place: impl Into<String>) -> Self {
        self.settings.checkpoint = Some(place.into());
        self
    }

    /// Starts the query.
    ///
    /// # Errors
    /// `Unsupported` for what is not incremental; `Invalid` for options; those of checkpoint, sources and sink.
    pub async fn start(self) -> Result<Arc<StreamingQuery>> {
        let planned = Planned::new(&self.session, self.plan, self.mode).await?;
        let mut options = Options::new(format!("sink `{}`", self.connector));
        for (key, value) in self.options {
            options.insert(&key, value)?;
        }
        let spec = SinkSpec { connector: self.connector.clone(), name: self.connector.clone(), options };
        let started =
            self.session.start_query(&self.connector, planned, self.settings, &spec, MemoryTable::new());
        started.await
    }
}

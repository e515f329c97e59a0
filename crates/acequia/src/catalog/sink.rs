//! Sinks: where continuous queries write to.

use crate::sql::CreateSink;
use acequia_connectors::sinks::{MemoryTable, SinkSpec};
use acequia_core::Result;
use std::sync::Arc;

/// A sink of the catalog. Each query that writes to it opens it anew.
#[derive(Debug)]
pub struct SinkDefinition {
    definition: CreateSink,
    spec: SinkSpec,
    memory: Arc<MemoryTable>,
}

impl SinkDefinition {
    /// A sink from its statement. The connector checks the options.
    ///
    /// # Errors
    /// `Invalid` when `connector` is missing.
    pub fn create(name: String, definition: CreateSink) -> Result<Self> {
        let mut options = definition.options.clone().owned_by(format!("sink `{name}`"));
        let connector = options.require("connector")?;
        let spec = SinkSpec { connector, name, options };
        Ok(Self { definition, spec, memory: MemoryTable::new() })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The statement that made it.
    pub fn definition(&self) -> &CreateSink {
        &self.definition
    }

    /// What the connector needs to know.
    pub fn spec(&self) -> &SinkSpec {
        &self.spec
    }

    /// The content of a `memory` sink.
    pub fn memory(&self) -> &Arc<MemoryTable> {
        &self.memory
    }
}

//! Where rows come from.
//!
//! A [`Connector`] knows one kind of source: it checks what a `CREATE STREAM` says ([`Connector::describe`], before any
//! query runs and without touching a checkpoint) and opens the source when a query starts ([`Connector::open`]).
//!
//! | connector | rows | replay |
//! |---|---|---|
//! | `file` | new files of a directory or glob | the files, by a log in the checkpoint |
//! | `socket` | lines from a TCP peer | a journal in the checkpoint |
//! | `rate` | a counter | a function of the row's number |
//! | `nexmark` | the Nexmark benchmark | a function of the event's number |
//! | `memory` | what the program hands over | the rows, while the process lives |

pub(crate) mod columns;
mod file;
mod generated;
pub mod memory;
mod nexmark;
mod rate;
mod socket;
mod store;

use acequia_core::{Error, Options, Result, Source, SourceContext, options};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

pub use memory::{MemoryStream, StepCounter};

/// What a `CREATE STREAM` says about its source: plain data.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// The stream's name, for messages.
    pub name: String,
    /// The `WITH (...)` options that concern connector and format (`connector` itself already taken).
    pub options: Options,
    /// The physical columns as the user declared them; `None` when the source shall say which there are.
    pub declared: Option<SchemaRef>,
    /// The columns declared `METADATA FROM 'key'`, each with its key. They come after the physical ones.
    pub metadata: Vec<(String, Field)>,
}

impl SourceSpec {
    /// The same source with the columns that `describe` found written down, so that what is inferred cannot change
    /// between planning and opening.
    #[must_use]
    pub fn pinned(&self, description: &SourceDescription) -> Self {
        let physical = description.schema.fields().len() - self.metadata.len();
        let fields = description.schema.fields()[..physical].to_vec();
        Self { declared: Some(Arc::new(Schema::new(fields))), ..self.clone() }
    }

    /// The options, owned by the stream in messages.
    fn options(&self) -> Options {
        self.options.clone().owned_by(format!("stream `{}`", self.name))
    }

    /// Refuses metadata columns whose key is not one of these.
    fn check_metadata(&self, connector: &str, keys: &[&str]) -> Result<()> {
        match self.metadata.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let what = format!("metadata of connector `{connector}` in stream `{}`", self.name);
                Err(options::unknown(&what, key, keys.iter().copied()))
            }
        }
    }
}

/// What planning needs to know of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// The columns of every row: the physical ones, then the metadata columns.
    pub schema: SchemaRef,
    /// Whether it ends by itself.
    pub bounded: bool,
}

/// One kind of source.
#[async_trait]
pub trait Connector: Send + Sync + fmt::Debug {
    /// The word in `connector = '...'`.
    fn name(&self) -> &'static str;

    /// Checks every option and says what rows there will be. Nothing is written.
    ///
    /// # Errors
    /// `Invalid` for an option or column that is wrong, `Unsupported` for what is not there yet; `Unavailable` or
    /// `Data` when columns have to be inferred and the input cannot be read.
    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription>;

    /// Opens the source for a query.
    ///
    /// # Errors
    /// As [`Connector::describe`], and `Unavailable` when the peer does not answer.
    async fn open(&self, spec: &SourceSpec, context: SourceContext) -> Result<Box<dyn Source>>;
}

/// The built-in connectors. A memory stream is not opened by name: its [`MemoryStream`] is the connector.
pub fn connectors() -> Vec<Arc<dyn Connector>> {
    vec![
        Arc::new(file::FileConnector),
        Arc::new(socket::SocketConnector),
        Arc::new(rate::RateConnector),
        Arc::new(nexmark::NexmarkConnector),
    ]
}

/// The connector of this name.
///
/// # Errors
/// `Invalid` naming the nearest one.
pub fn connector(name: &str) -> Result<Arc<dyn Connector>> {
    let all = connectors();
    let word = options::normalize_key(name);
    if word == memory::NAME {
        return Err(Error::internal("a memory stream is opened through its handle, not by name"));
    }
    match all.iter().find(|c| c.name() == word) {
        Some(found) => Ok(Arc::clone(found)),
        None => {
            let names: Vec<_> = all.iter().map(|c| c.name()).chain([memory::NAME]).collect();
            Err(options::unknown("connector", name, names))
        }
    }
}

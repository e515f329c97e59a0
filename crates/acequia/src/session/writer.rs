//! `write_stream()`: continuous queries from Rust.

use super::foreach::ForeachSink;
use super::queries::{Output, Planned, QuerySettings};
use super::{Batch, ForeachWriter, QueryStream, Session, UserError, without_panic};
use crate::plan::OutputSpec;
use crate::runtime::{RetryPolicy, StreamingQuery};
use crate::sql::Trigger;
use acequia_connectors::sinks::{MemoryTable, SinkSpec};
use acequia_core::{Error, Options, OutputMode, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::logical_expr::LogicalPlan;
use futures::FutureExt;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Describes where and how a continuous query writes; then [`DataStreamWriter::start`] starts it, or
/// [`DataStreamWriter::to_table`], [`DataStreamWriter::foreach_batch`], [`DataStreamWriter::foreach`] or
/// [`DataStreamWriter::to_stream`].
#[derive(Debug)]
pub struct DataStreamWriter {
    session: Session,
    plan: LogicalPlan,
    connector: Option<String>,
    options: Vec<(String, String)>,
    mode: Option<OutputMode>,
    settings: QuerySettings,
}

impl DataStreamWriter {
    pub(super) fn new(session: Session, plan: LogicalPlan) -> Self {
        let settings = QuerySettings::default();
        Self { session, plan, connector: None, options: vec![], mode: None, settings }
    }

    /// The connector, as `parquet`; `console` by default.
    #[must_use]
    pub fn format(mut self, connector: impl Into<String>) -> Self {
        self.connector = Some(connector.into());
        self
    }

    /// An option of the connector, as in `CREATE SINK ... WITH (...)`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// The columns by whose values files are put into directories, `column=value`.
    #[must_use]
    pub fn partition_by(self, columns: &[&str]) -> Self {
        self.option("partition_by", columns.join(","))
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

    /// The columns that tell the rows of the result apart, as `WITH (key = 'a, b')`: for [`OutputMode::Update`] and
    /// [`OutputMode::Changes`] of a query of which no key can be derived. A batch that gives two rows with one key ends the
    /// query.
    #[must_use]
    pub fn key<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.settings.key = Some(columns.into_iter().map(Into::into).collect());
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

    /// How often a failed batch is tried again, and after which waits; as the session says by default. A query without a
    /// checkpoint has no state to go back to: once a batch has begun, its failure ends the query.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = Some(policy);
        self
    }

    /// Starts the query.
    ///
    /// # Errors
    /// `Unsupported` for what is not incremental; `Invalid` for options; those of checkpoint, sources and sink.
    pub async fn start(mut self) -> Result<Arc<StreamingQuery>> {
        let connector = self.connector.take().unwrap_or_else(|| "console".to_string());
        if connector.eq_ignore_ascii_case("memory") {
            let no_name = || Error::invalid("a memory table is called as its query; give a query_name()");
            let table = self.settings.name.clone().ok_or_else(no_name)?;
            return self.to_table(&table).await;
        }
        let mut options = Options::new(format!("sink `{connector}`"));
        for (key, value) in std::mem::take(&mut self.options) {
            options.insert(&key, value)?;
        }
        let spec = SinkSpec { name: connector.clone(), connector, options };
        self.start_with(&spec.name, Output::Connector(&spec, MemoryTable::new())).await
    }

    /// Starts the query that keeps a table of this name in memory: a materialized view, which SQL and
    /// [`Session::table`] read.
    ///
    /// # Errors
    /// As [`DataStreamWriter::start`]; `Invalid` when the name is taken, other than by such a table whose query has ended,
    /// and when two columns have one name.
    pub async fn to_table(self, name: &str) -> Result<Arc<StreamingQuery>> {
        self.expect_no_options("a table in memory")?;
        self.session.drop_ended_view(name).await?;
        self.session.check_free(name)?;
        let planned = self.planned().await?;
        expect_distinct_names(&planned.plan.sink_schema())?;
        self.session.start_view(name.to_string(), String::new(), planned, self.settings).await
    }

    /// Starts the query and calls this function with every batch, empty ones too, before the batch is committed. A
    /// batch that fails, or during which the process dies, comes again with the same id and the same rows: a function
    /// that writes the id with its rows, and leaves out batches up to the last id written, takes effect exactly once.
    /// The session ends its queries when its last handle is dropped, so the function does not hold one: it has
    /// [`Batch::session`]; nor does it wait for its own query to stop, which would wait for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> acequia::Result<()> {
    /// # use acequia::prelude::*;
    /// # let session = Session::new()?;
    /// session.sql("CREATE STREAM clicks (url VARCHAR)").await?;
    /// let query = session
    ///     .table("clicks")
    ///     .await?
    ///     .write_stream()
    ///     .foreach_batch(|batch| async move {
    ///         println!("batch {}: {} clicks", batch.id(), batch.num_rows());
    ///         batch.frame()?.filter(col("url").like(lit("%/cart")))?.into_datafusion().show().await?;
    ///         Ok::<_, acequia::UserError>(())
    ///     })
    ///     .await?;
    /// session.sql("INSERT INTO clicks VALUES ('/cart'), ('/')").await?;
    /// query.process_all_available().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`DataStreamWriter::start`].
    pub async fn foreach_batch<F, Fut, E>(self, f: F) -> Result<Arc<StreamingQuery>>
    where
        F: Fn(Batch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), E>> + Send + 'static,
        E: Into<UserError>,
    {
        self.expect_no_options("foreach_batch")?;
        let sink = ForeachSink::batches(&self.session, "foreach_batch", f);
        self.start_with("foreach_batch", Output::Own(Box::new(sink))).await
    }

    /// Starts the query and gives this writer every batch, as [`DataStreamWriter::foreach_batch`].
    ///
    /// # Errors
    /// As [`DataStreamWriter::start`].
    pub async fn foreach(self, writer: impl ForeachWriter<RecordBatch>) -> Result<Arc<StreamingQuery>> {
        self.expect_no_options("foreach")?;
        let sink = ForeachSink::writer(&self.session, writer);
        self.start_with("foreach", Output::Own(Box::new(sink))).await
    }

    /// Starts the query and gives its output as a `Stream` of this program. The query waits while nobody reads, and
    /// stops when the stream is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> acequia::Result<()> {
    /// # use acequia::prelude::*;
    /// use futures::StreamExt;
    ///
    /// # let session = Session::new()?;
    /// session.sql("CREATE STREAM clicks (url VARCHAR)").await?;
    /// let mut rows = session.table("clicks").await?.write_stream().to_stream().await?;
    /// session.sql("INSERT INTO clicks VALUES ('/cart'), ('/')").await?;
    /// assert_eq!(rows.next().await.transpose()?.map(|batch| batch.num_rows()), Some(2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`DataStreamWriter::start`]; `Invalid` with a checkpoint, which cannot know what the program has done with a
    /// row; `Unsupported` for a result that rows can leave, in [`OutputMode::Update`].
    pub async fn to_stream(self) -> Result<QueryStream> {
        self.expect_no_options("to_stream")?;
        if self.settings.checkpoint.is_some() {
            return Err(Error::invalid(
                "a checkpoint cannot know which rows of a stream the program has used; use foreach_batch, whose batch is committed when the function returns",
            ));
        }
        let planned = self.planned().await?;
        if planned.plan.weighted && planned.plan.mode == OutputMode::Update {
            return Err(Error::unsupported(
                "rows can leave this result, which a stream of rows cannot say in OutputMode::Update; use OutputMode::Changes, whose column `op` does, or foreach_batch",
            ));
        }
        let (sender, parts) = mpsc::channel(1);
        let stopping = self.settings.stopping.clone();
        let send = move |batch: Batch| {
            let (sender, mut stopping) = (sender.clone(), stopping.subscribe());
            async move {
                for rows in batch.rows() {
                    // Who stops the query, or drops the stream, reads no more.
                    tokio::select! {
                        biased;
                        _ = sender.send(rows.clone()) => {}
                        _ = stopping.wait_for(|stopping| *stopping) => break,
                    }
                }
                Ok::<_, Infallible>(())
            }
        };
        let sink = ForeachSink::batches(&self.session, "to_stream", send);
        let started =
            self.session.start_query("to_stream", planned, self.settings, Output::Own(Box::new(sink)));
        Ok(QueryStream::new(started.await?, parts))
    }

    async fn planned(&self) -> Result<Planned> {
        let output = OutputSpec { mode: self.mode, key: self.settings.key.clone() };
        without_panic(Planned::new(&self.session, self.plan.clone(), output).boxed()).await
    }

    async fn start_with(self, target: &str, output: Output<'_>) -> Result<Arc<StreamingQuery>> {
        let planned = self.planned().await?;
        self.session.start_query(target, planned, self.settings, output).await
    }

    /// They would be silently ignored.
    fn expect_no_options(&self, what: &str) -> Result<()> {
        match (&self.connector, self.options.first()) {
            (Some(connector), _) => {
                Err(Error::invalid(format!("{what} takes no format: `{connector}`; leave it out")))
            }
            (None, Some((key, _))) => {
                Err(Error::invalid(format!("{what} takes no options: `{key}`; leave it out")))
            }
            (None, None) => Ok(()),
        }
    }
}

/// Columns of a table are found by their names.
fn expect_distinct_names(schema: &Schema) -> Result<()> {
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(twice) => Err(Error::invalid(format!(
            "two columns of the table would have one name: `{}`; select() one of them under an alias",
            twice.name()
        ))),
        None => Ok(()),
    }
}

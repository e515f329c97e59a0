//! `read_stream()`: streams from Rust.

use super::{DataFrame, Session};
use crate::catalog::Stream;
use crate::error::{from_datafusion, from_planning};
use crate::sql::CreateStream;
use acequia_core::{Error, Options, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableFunctionImpl;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{AggregateUDF, LogicalPlanBuilder, ScalarUDF};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What files can hold.
const FILE_FORMATS: [&str; 5] = ["json", "csv", "parquet", "arrow", "text"];

/// Describes a stream; [`DataStreamReader::load`] makes it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> acequia::Result<()> {
/// use acequia::prelude::*;
///
/// let session = Session::new()?;
/// let ticks = session
///     .read_stream()
///     .name("ticks")
///     .format("rate")
///     .option("rows_per_batch", "10")
///     .option("num_rows", "20")
///     .load()
///     .await?;
/// let query = ticks.agg(vec![count(lit(1)).alias("n")])?.write_stream().trigger(Trigger::AvailableNow);
/// query.output_mode(OutputMode::Update).to_table("counted").await?.await_termination().await?;
/// assert_eq!(session.table("counted").await?.as_dataset::<Counted>()?.collect().await?[0].n, 20);
/// # Ok(())
/// # }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Counted { n: i64 }
/// ```
#[derive(Debug)]
pub struct DataStreamReader {
    session: Session,
    name: Option<String>,
    options: Vec<(String, String)>,
    schema: Option<SchemaRef>,
}

impl Session {
    /// A reader of streams.
    pub fn read_stream(&self) -> DataStreamReader {
        DataStreamReader { session: self.clone(), name: None, options: vec![], schema: None }
    }
}

impl DataStreamReader {
    /// The name under which SQL sees the stream too; made up by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The connector, as `socket`; or a format of files, as `json`, for `file` with that format.
    #[must_use]
    pub fn format(self, connector: impl Into<String>) -> Self {
        let connector = connector.into();
        match FILE_FORMATS.contains(&connector.as_str()) {
            true => self.option("connector", "file").option("format", connector),
            false => self.option("connector", connector),
        }
    }

    /// Files of this format in a directory: `file("json", "data/clicks")`.
    #[must_use]
    pub fn file(self, format: impl Into<String>, path: impl Into<String>) -> Self {
        self.format(format).option("path", path)
    }

    /// An option of the connector, as in `WITH (...)`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// The columns; inferred by default.
    #[must_use]
    pub fn schema(mut self, schema: SchemaRef) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The stream's rows.
    ///
    /// # Errors
    /// `Invalid` for a wrong option or a name that is taken; those of the connector.
    pub async fn load(self) -> Result<DataFrame> {
        let name = match self.name {
            Some(name) => name,
            None => self.session.free_stream_name(),
        };
        self.session.check_free(&name)?;
        let mut options = Options::new(format!("stream `{name}`"));
        for (key, value) in self.options {
            options.insert(&key, value)?;
        }
        let definition = CreateStream {
            name: ObjectName::from(vec![Ident::with_quote('"', &name)]),
            or_replace: false,
            if_not_exists: false,
            columns: vec![],
            watermark: None,
            primary_key: vec![],
            options,
            comment: None,
        };
        let stream = Stream::with_columns(name, definition, self.schema, vec![]).await?;
        let stream = self.session.add_stream(stream)?;
        self.session.table(stream.name()).await
    }
}

impl Session {
    /// The rows of a stream, table or view.
    ///
    /// # Errors
    /// `Invalid` when there is none of this name.
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        let reference = datafusion::common::TableReference::bare(name);
        let frame = self.context().table(reference).await.map_err(from_datafusion)?;
        Ok(DataFrame::new(self.clone(), frame))
    }

    /// A frame of DataFusion's over this session's [`Session::context`], to be used with streams.
    pub fn data_frame(&self, frame: datafusion::prelude::DataFrame) -> DataFrame {
        DataFrame::new(self.clone(), frame)
    }

    /// These rows as a static frame.
    ///
    /// # Errors
    /// `Invalid` for rows with other columns.
    pub fn create_data_frame(&self, schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<DataFrame> {
        let table = MemTable::try_new(schema, vec![rows]).map_err(from_planning)?;
        // A name of its own, so that a join of two such frames can tell their columns apart.
        let name = format!("frame_{}", self.inner.unnamed.fetch_add(1, Ordering::Relaxed) + 1);
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None);
        let plan = plan.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
        Ok(DataFrame::new(self.clone(), datafusion::prelude::DataFrame::new(self.state(), plan)))
    }

    /// Makes a function known under its name, to SQL and to expressions that are texts.
    pub fn register_udf(&self, function: impl Into<ScalarUDF>) {
        self.context().register_udf(function.into());
    }

    /// Makes an aggregate function known under its name. Over rows that are only added its state has to merge, over
    /// others its groups are computed anew.
    pub fn register_udaf(&self, function: impl Into<AggregateUDF>) {
        self.context().register_udaf(function.into());
    }

    /// Makes a table function known under this name.
    pub fn register_udtf(&self, name: &str, function: Arc<dyn TableFunctionImpl>) {
        self.context().register_udtf(name, function);
    }

    /// The rows of a SELECT, to be transformed further or written.
    ///
    /// # Errors
    /// `Invalid` when the text is not one query without EMIT, TRIGGER and WITH.
    pub async fn frame(&self, query: &str) -> Result<DataFrame> {
        let mut statements = crate::sql::parse(query);
        let (Some(first), None) = (statements.next().transpose()?, statements.next()) else {
            return Err(Error::invalid("a frame is made from exactly one SELECT"));
        };
        let crate::sql::Statement::Query(query) = first.statement else {
            return Err(Error::invalid(
                "a frame is made from a SELECT; use Session::sql for other statements",
            ));
        };
        query.expect_plain("say it with write_stream() instead")?;
        let plan = self.plan_query(&query).await?;
        Ok(DataFrame::new(self.clone(), datafusion::prelude::DataFrame::new(self.state(), plan)))
    }

    /// The next of `stream_1`, `stream_2`, ... that was never given out, and that nothing else is called.
    fn free_stream_name(&self) -> String {
        loop {
            let number = self.inner.unnamed.fetch_add(1, Ordering::Relaxed) + 1;
            let name = format!("stream_{number}");
            if self.check_free(&name).is_ok() {
                return name;
            }
        }
    }

    /// Hands rows to an in-memory stream as one micro-batch.
    ///
    /// # Errors
    /// `Invalid` when the stream is not there or has a connector, and for rows with other columns.
    pub fn append(&self, stream: &str, rows: Vec<RecordBatch>) -> Result<()> {
        let stream = self.inner.catalog.stream(stream)?;
        self.append_to(&stream, rows)
    }

    pub(crate) fn append_to(&self, stream: &Stream, rows: Vec<RecordBatch>) -> Result<()> {
        let Some(memory) = stream.memory() else {
            return Err(Error::invalid(format!(
                "rows of stream `{}` come from its connector",
                stream.name()
            )));
        };
        memory.append(self.inner.steps.advance(), rows)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

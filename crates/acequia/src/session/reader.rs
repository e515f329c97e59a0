//! `read_stream()`: streams from Rust.

use super::{DataFrame, Session};
use crate::catalog::Stream;
use crate::sql::CreateStream;
use acequia_core::{Error, Options, Result};
use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

/// Describes a stream; [`DataStreamReader::load`] makes it.
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

    /// The connector, as `socket`. What Spark calls a format of files is the option `format`.
    #[must_use]
    pub fn format(self, connector: impl Into<String>) -> Self {
        self.option("connector", connector)
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
            None => format!("stream_{}", self.session.inner.catalog.streams().len() + 1),
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
        let frame = self.context().table(reference).await.map_err(crate::error::from_datafusion)?;
        Ok(DataFrame::new(self.clone(), frame))
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

    /// Hands rows to an in-memory stream as one micro-batch.
    ///
    /// # Errors
    /// `Invalid` when the stream is not there or has a connector, and for rows with other columns.
    pub fn append(&self, stream: &str, rows: Vec<arrow::array::RecordBatch>) -> Result<()> {
        let stream = self.inner.catalog.stream(stream)?;
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

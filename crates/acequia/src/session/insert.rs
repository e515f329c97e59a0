//! INSERT INTO: rows into an in-memory stream, a continuous query into a sink, or DataFusion's own into a table.
//!
//! An INSERT into a stream hands its rows over as one step: one micro-batch. Between BEGIN and COMMIT rows are
//! collected and handed over as one step over all their streams.

use super::{Session, StatementOutput, single_name};
use crate::catalog::{Stream, normalize};
use crate::error::from_datafusion;
use crate::plan::is_streaming;
use crate::sql::{ColumnKind, Insert, Statement};
use acequia_connectors::sources::MemoryStream;
use acequia_core::{Error, Result, options::unknown};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use std::sync::Arc;

/// Rows by the streams that they go to.
pub(super) type StreamRows = Vec<(Arc<Stream>, Vec<RecordBatch>)>;

/// Rows that wait for COMMIT.
#[derive(Default)]
pub(super) struct Transaction {
    rows: StreamRows,
}

/// How rows that statements hand to streams become micro-batches. A result must not depend on it, which is what the
/// test harness checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepSplit {
    /// What a statement or transaction hands over is one micro-batch.
    #[default]
    AsGiven,
    /// Every row is a micro-batch of its own.
    RowByRow,
    /// Rows are held back until [`Session::release_steps`] hands them over as one micro-batch.
    Held,
}

impl Session {
    pub(super) async fn insert(&self, insert: Insert) -> Result<StatementOutput> {
        let name = single_name(&insert.target).unwrap_or_else(|_| insert.target.to_string());
        if let Some(stream) = self.inner.catalog.find_stream(&name) {
            return self.insert_into_stream(stream, insert).await;
        }
        if let Some(sink) = self.inner.catalog.find_sink(&name) {
            return self.insert_into_sink(sink, insert).await;
        }
        if let Some(view) = self.inner.catalog.find_view(&name) {
            return Err(Error::invalid(format!(
                "rows of a materialized view come from its query: view=`{}`; insert into the streams that it reads",
                view.name()
            )));
        }
        if !self.inner.context.table_exist(name.as_str()).map_err(from_datafusion)? {
            return Err(self.unknown_target(&name));
        }
        let plan = self.plan_query(&insert.query).await?;
        if is_streaming(&plan) {
            return Err(Error::unsupported(format!(
                "a continuous query cannot write into a static table: table=`{name}`; CREATE SINK, or CREATE MATERIALIZED VIEW AS the query"
            )));
        }
        insert.query.expect_plain("this one writes into a static table")?;
        self.datafusion(insert.to_datafusion()).await
    }

    async fn insert_into_sink(
        &self,
        sink: Arc<crate::catalog::SinkDefinition>,
        insert: Insert,
    ) -> Result<StatementOutput> {
        if self.inner.transaction.lock().is_some() {
            return Err(Error::invalid(
                "a continuous query cannot start between BEGIN and COMMIT; COMMIT first",
            ));
        }
        if !insert.columns.is_empty() || insert.overwrite {
            return Err(Error::unsupported(
                "a sink has the columns of the query and its mode says what happens to old rows; leave out the column list and OVERWRITE, and name columns with AS",
            ));
        }
        let plan = self.plan_query(&insert.query).await?;
        self.start_sink_query(sink, plan, insert.query).await
    }

    async fn insert_into_stream(&self, stream: Arc<Stream>, insert: Insert) -> Result<StatementOutput> {
        if stream.memory().is_none() {
            return Err(Error::invalid(format!(
                "rows of stream `{}` come from its connector; create a stream without WITH (...) to insert rows by hand",
                stream.name()
            )));
        }
        if insert.overwrite {
            return Err(Error::unsupported("rows of a stream cannot be overwritten; use INSERT INTO"));
        }
        let plan = self.plan_query(&insert.query).await?;
        let columns: Vec<String> = insert.columns.iter().map(normalize).collect();
        check_columns(&stream, &columns, plan.schema().fields().len())?;
        if is_streaming(&plan) {
            return Err(Error::unsupported(format!(
                "a continuous query cannot write into a stream: stream=`{}`; CREATE VIEW for a part of a query, or CREATE SINK",
                stream.name()
            )));
        }
        insert.query.expect_plain("this one hands rows to a stream")?;
        let StatementOutput::Rows { batches, .. } = self.collect(plan).await? else {
            return Err(Error::internal("a query without rows"));
        };
        let rows = batches.iter().filter(|batch| batch.num_rows() > 0);
        let rows = rows.map(|batch| conform(&stream, &columns, batch)).collect::<Result<Vec<_>>>()?;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if let Some(transaction) = self.inner.transaction.lock().as_mut() {
            transaction.rows.push((stream, rows));
            return Ok(StatementOutput::Done(format!(
                "{} for COMMIT",
                if count == 1 { "1 row waits".to_string() } else { format!("{count} rows wait") }
            )));
        }
        self.take_rows(vec![(stream, rows)])?;
        Ok(StatementOutput::Step(format!("{} inserted", rows_of(count))))
    }

    /// Whether rows wait for COMMIT.
    pub fn in_transaction(&self) -> bool {
        self.inner.transaction.lock().is_some()
    }

    pub(super) fn begin(&self) -> Result<StatementOutput> {
        let mut transaction = self.inner.transaction.lock();
        if transaction.is_some() {
            return Err(Error::invalid("BEGIN within BEGIN; COMMIT or ROLLBACK first"));
        }
        *transaction = Some(Transaction::default());
        Ok(StatementOutput::Done("begun".to_string()))
    }

    pub(super) fn commit(&self) -> Result<StatementOutput> {
        let Some(transaction) = self.inner.transaction.lock().take() else {
            return Err(Error::invalid("COMMIT without BEGIN"));
        };
        let count: usize =
            transaction.rows.iter().flat_map(|(_, rows)| rows).map(RecordBatch::num_rows).sum();
        self.take_rows(transaction.rows)?;
        Ok(StatementOutput::Step(format!("{} inserted", rows_of(count))))
    }

    pub(super) fn rollback(&self) -> Result<StatementOutput> {
        match self.inner.transaction.lock().take() {
            Some(_) => Ok(StatementOutput::Done("rolled back".to_string())),
            None => Err(Error::invalid("ROLLBACK without BEGIN")),
        }
    }

    /// Whether a statement hands rows to streams, or begins or ends what does.
    pub fn hands_over(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Begin | Statement::Commit | Statement::Rollback => true,
            Statement::Insert(insert) => {
                single_name(&insert.target).is_ok_and(|name| self.inner.catalog.find_stream(&name).is_some())
            }
            _ => false,
        }
    }

    /// Hands over what [`StepSplit::Held`] has held back, as one micro-batch over all its streams.
    ///
    /// # Errors
    /// `Invalid` for rows that do not fit their stream.
    pub fn release_steps(&self) -> Result<()> {
        let held = std::mem::take(&mut *self.inner.held.lock());
        if held.is_empty() { Ok(()) } else { self.hand_over(held) }
    }

    /// Takes the rows of a statement or transaction, as the session splits them.
    fn take_rows(&self, rows: StreamRows) -> Result<()> {
        match self.inner.split {
            StepSplit::AsGiven => self.hand_over(rows),
            StepSplit::Held => {
                self.inner.held.lock().extend(rows);
                Ok(())
            }
            StepSplit::RowByRow => {
                for (stream, batch) in
                    rows.iter().flat_map(|(stream, batches)| batches.iter().map(move |b| (stream, b)))
                {
                    for row in 0..batch.num_rows() {
                        self.hand_over(vec![(Arc::clone(stream), vec![batch.slice(row, 1)])])?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Gives rows to their streams as one step.
    fn hand_over(&self, rows: StreamRows) -> Result<()> {
        let mut by_stream: indexmap::IndexMap<String, (Arc<Stream>, Vec<RecordBatch>)> =
            indexmap::IndexMap::new();
        for (stream, batches) in rows {
            let entry = by_stream.entry(stream.name().to_string()).or_insert_with(|| (stream, vec![]));
            entry.1.extend(batches);
        }
        let rows = by_stream.into_values();
        let rows = rows.filter_map(|(stream, batches)| Some((stream.memory()?.clone(), batches)));
        MemoryStream::append_all(self.inner.steps.advance(), rows.collect())
    }
}

/// Checks the names and the number of the columns that an INSERT gives; it may name none.
fn check_columns(stream: &Stream, columns: &[String], width: usize) -> Result<()> {
    let physical = physical_columns(stream);
    if let Some(bad) = columns.iter().find(|name| !physical.contains(&name.as_str())) {
        let computed = stream.definition().columns.iter().any(|column| {
            normalize(&column.name) == *bad && matches!(column.kind, ColumnKind::Computed { .. })
        });
        if computed {
            return Err(Error::invalid(format!(
                "column is computed and cannot be inserted: `{bad}`; leave it out"
            )));
        }
        return Err(unknown(&format!("column of stream `{}`", stream.name()), bad, physical));
    }
    if let Some((_, twice)) = columns.iter().enumerate().find(|(n, name)| columns[..*n].contains(name)) {
        return Err(Error::invalid(format!("column given twice: `{twice}` of stream `{}`", stream.name())));
    }
    let given = if columns.is_empty() { physical.join(", ") } else { columns.join(", ") };
    let count = if columns.is_empty() { physical.len() } else { columns.len() };
    if count != width {
        return Err(Error::invalid(format!(
            "stream `{}` takes {count} columns and {width} are given; columns=[{given}]",
            stream.name()
        )));
    }
    Ok(())
}

fn physical_columns(stream: &Stream) -> Vec<&str> {
    stream.source_schema().fields().iter().map(|f| f.name().as_str()).collect()
}

fn rows_of(count: usize) -> String {
    if count == 1 { "1 row".to_string() } else { format!("{count} rows") }
}

/// Inserted rows in the columns of the stream, cast where need be.
fn conform(stream: &Stream, columns: &[String], rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = stream.source_schema();
    let given: Vec<&str> = match columns {
        [] => physical_columns(stream),
        columns => columns.iter().map(String::as_str).collect(),
    };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let array = match given.iter().position(|name| *name == field.name()) {
            None => new_null_array(field.data_type(), rows.num_rows()),
            Some(index) => {
                cast_with_options(rows.column(index), field.data_type(), &strict).map_err(|e| {
                    Error::invalid(format!("column `{}` of stream `{}`: {e}", field.name(), stream.name()))
                })?
            }
        };
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(Error::invalid(format!(
                "column is NOT NULL: `{}` of stream `{}`; give a value",
                field.name(),
                stream.name()
            )));
        }
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

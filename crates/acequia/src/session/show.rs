//! SHOW, DESCRIBE and SHOW CREATE.

use super::{Session, StatementOutput, single_name};
use crate::catalog::normalize;
use crate::error::from_datafusion;
use crate::sql::{ColumnKind, Describe, ObjectKind, ShowKind};
use acequia_core::{Error, Result, options::unknown};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::ObjectName;
use std::sync::Arc;

/// Rows of text with these columns.
fn text_rows(columns: &[&str], rows: Vec<Vec<String>>) -> Result<StatementOutput> {
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |index: usize| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[index]))) as ArrayRef
    };
    let arrays = (0..columns.len()).map(column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(StatementOutput::Rows { schema, batches: vec![batch] })
}

impl Session {
    pub(super) async fn show(&self, kind: ShowKind) -> Result<StatementOutput> {
        match kind {
            ShowKind::Streams => self.show_streams(),
            ShowKind::Sinks => {
                let sinks = self.inner.catalog.sinks();
                let row = |sink: &Arc<crate::catalog::SinkDefinition>| {
                    vec![sink.name().to_string(), sink.spec().connector.clone()]
                };
                text_rows(&["name", "connector"], sinks.iter().map(row).collect())
            }
            ShowKind::Queries => self.show_queries(),
            ShowKind::MaterializedViews | ShowKind::StreamingTables => {
                let word = if kind == ShowKind::MaterializedViews { "MATERIALIZED" } else { "STREAMING" };
                let views = self.inner.catalog.views();
                let of_kind = views.iter().filter(|view| view.statement().to_uppercase().contains(word));
                let rows = of_kind.map(|view| vec![view.name().to_string(), view.query().to_string()]);
                text_rows(&["name", "query"], rows.collect())
            }
            ShowKind::Tables | ShowKind::Views => self.show_tables(kind == ShowKind::Views).await,
        }
    }

    fn show_streams(&self) -> Result<StatementOutput> {
        let rows = self.inner.catalog.streams().into_iter().map(|stream| {
            let definition = stream.definition();
            let connector = definition.options.peek("connector").unwrap_or("memory").to_string();
            let watermark = definition.watermark.as_ref().map(|clause| match &clause.expr {
                Some(expr) => expr.to_string(),
                None => normalize(&clause.column),
            });
            vec![stream.name().to_string(), connector, watermark.unwrap_or_default()]
        });
        text_rows(&["name", "connector", "watermark"], rows.collect())
    }

    fn show_queries(&self) -> Result<StatementOutput> {
        let rows = self.queries().into_iter().map(|query| {
            let status = match (query.handle.is_active(), query.handle.exception()) {
                (true, _) => "running".to_string(),
                (false, None) => "ended".to_string(),
                (false, Some(error)) => format!("failed: {error}"),
            };
            let batch = query.handle.last_progress().map(|p| p.batch_id.to_string());
            vec![
                query.handle.name().to_string(),
                status,
                query.mode.as_str().to_string(),
                query.streams.join(", "),
                query.target.clone(),
                batch.unwrap_or_default(),
            ]
        });
        text_rows(&["name", "status", "mode", "streams", "target", "batch"], rows.collect())
    }

    /// Tables and views that a SELECT over static data can read.
    async fn show_tables(&self, views: bool) -> Result<StatementOutput> {
        let mut rows = vec![];
        for catalog in self.inner.context.catalog_names() {
            let Some(provider) = self.inner.context.catalog(&catalog) else { continue };
            for schema in provider.schema_names().into_iter().filter(|name| name != "information_schema") {
                let Some(schema) = provider.schema(&schema) else { continue };
                for name in schema.table_names() {
                    let Some(table) = schema.table(&name).await.map_err(from_datafusion)? else { continue };
                    let what = self.kind_of(&name, table.as_ref());
                    if what != "stream" && (!views || what.ends_with("view")) {
                        rows.push(vec![name, what.to_string()]);
                    }
                }
            }
        }
        rows.sort();
        text_rows(&["name", "kind"], rows)
    }

    fn kind_of(&self, name: &str, table: &dyn datafusion::catalog::TableProvider) -> &'static str {
        if self.inner.catalog.find_stream(name).is_some() {
            return "stream";
        }
        if self.inner.catalog.find_sink(name).is_some() {
            return "memory sink";
        }
        if self.inner.catalog.find_view(name).is_some() {
            return "materialized view";
        }
        if table.get_logical_plan().is_some() { "view" } else { "table" }
    }

    pub(super) async fn describe(&self, describe: Describe) -> Result<StatementOutput> {
        let name = single_name(&describe.name)?;
        if let Some(sink) = self.inner.catalog.find_sink(&name)
            && !self.inner.context.table_exist(name.as_str()).map_err(from_datafusion)?
        {
            let rows = sink.definition().options.redacted().map(|(k, v)| vec![k.to_string(), v.to_string()]);
            return text_rows(&["option", "value"], rows.collect());
        }
        let reference = datafusion::common::TableReference::bare(name.as_str());
        let exists = self.inner.context.table_exist(reference.clone()).map_err(from_datafusion)?;
        if !exists {
            return Err(self.unknown_object(&name));
        }
        let table = self.inner.context.table_provider(reference).await.map_err(from_datafusion)?;
        let stream = self.inner.catalog.find_stream(&name);
        let columns = stream.as_ref().map_or(&[][..], |stream| &stream.definition().columns);
        let row = |field: &Arc<Field>| {
            let kind = columns.iter().find(|column| normalize(&column.name) == *field.name());
            let mut notes: Vec<String> = vec![];
            match kind.map(|column| &column.kind) {
                Some(ColumnKind::Computed { expr }) => notes.push(format!("AS {expr}")),
                Some(ColumnKind::Metadata { from, .. }) => notes.push(format!("METADATA FROM '{from}'")),
                _ => {}
            }
            let watermark = stream.as_ref().and_then(|stream| stream.definition().watermark.as_ref());
            if let Some(clause) = watermark.filter(|clause| normalize(&clause.column) == *field.name()) {
                let expr = clause.expr.as_ref().map_or_else(|| field.name().clone(), ToString::to_string);
                notes.push(format!("WATERMARK AS {expr}"));
            }
            let nullable = if field.is_nullable() { "YES" } else { "NO" };
            vec![field.name().clone(), field.data_type().to_string(), nullable.to_string(), notes.join(", ")]
        };
        let mut rows: Vec<Vec<String>> = table.schema().fields().iter().map(row).collect();
        if let (true, Some(stream)) = (describe.extended, &stream) {
            let options = stream.definition().options.redacted();
            rows.extend(
                options
                    .map(|(k, v)| vec![format!("option {k}"), v.to_string(), String::new(), String::new()]),
            );
        }
        text_rows(&["column", "type", "nullable", "notes"], rows)
    }

    pub(super) async fn show_create(
        &self,
        kind: Option<ObjectKind>,
        name: &ObjectName,
    ) -> Result<StatementOutput> {
        let name = single_name(name)?;
        let wanted = |this: ObjectKind| kind.is_none_or(|kind| kind == this);
        let catalog = &self.inner.catalog;
        let stream =
            catalog.find_stream(&name).filter(|_| wanted(ObjectKind::Stream) || wanted(ObjectKind::Table));
        let sink = catalog.find_sink(&name).filter(|_| wanted(ObjectKind::Sink));
        let view = catalog
            .find_view(&name)
            .filter(|_| wanted(ObjectKind::MaterializedView) || wanted(ObjectKind::StreamingTable));
        let text = match (stream, sink, view) {
            (Some(stream), _, _) => stream.definition().to_string(),
            (_, Some(sink), _) => sink.definition().to_string(),
            (_, _, Some(view)) => view.statement().to_string(),
            _ => {
                let reference = datafusion::common::TableReference::bare(name.as_str());
                let table = self.inner.context.table_provider(reference).await;
                match table.ok().and_then(|t| t.get_table_definition().map(str::to_string)) {
                    Some(text) => text,
                    None if catalog.find_stream(&name).is_some() => {
                        return Err(another_kind(&name, "stream"));
                    }
                    None if catalog.find_sink(&name).is_some() => return Err(another_kind(&name, "sink")),
                    None if catalog.find_view(&name).is_some() => {
                        return Err(another_kind(&name, "materialized view"));
                    }
                    None => return Err(self.unknown_object(&name)),
                }
            }
        };
        text_rows(&["statement"], vec![vec![text]])
    }

    fn unknown_object(&self, name: &str) -> Error {
        let catalog = &self.inner.catalog;
        let (streams, sinks, views) = (catalog.streams(), catalog.sinks(), catalog.views());
        let names = streams
            .iter()
            .map(|s| s.name())
            .chain(sinks.iter().map(|s| s.name()))
            .chain(views.iter().map(|v| v.name()));
        unknown("stream, sink, view or table", name, names.collect::<Vec<_>>())
    }
}

fn another_kind(name: &str, is: &str) -> Error {
    Error::invalid(format!("not of that kind: `{name}` is a {is}; leave the kind out, or name the right one"))
}

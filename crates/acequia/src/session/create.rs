//! CREATE and DROP of streams, sinks and materialized views.

use super::queries::{Planned, QuerySettings};
use super::{Session, StatementOutput, single_name};
use crate::catalog::{MaterializedTable, SinkDefinition, Stream, StreamTable};
use crate::error::from_datafusion;
use crate::runtime::StreamingQuery;
use crate::sql::{ContinuousQuery, CreateSink, CreateStream, Drop, ObjectKind};
use acequia_connectors::sinks::{MemoryTable, create_sink};
use acequia_core::{Error, Result, options::unknown};
use datafusion::logical_expr::DdlStatement;
use datafusion::sql::sqlparser::ast::ObjectName;
use std::sync::Arc;

impl Session {
    pub(super) async fn create_stream(&self, create: CreateStream) -> Result<StatementOutput> {
        let name = single_name(&create.name)?;
        let existing = self.inner.catalog.find_stream(&name);
        if existing.is_some() && create.if_not_exists {
            return Ok(StatementOutput::Done(format!("stream `{name}` is there already")));
        }
        if existing.is_some() && create.or_replace {
            self.refuse_drop_while_read(&name)?;
        } else {
            self.check_free(&name)?;
        }
        self.add_stream(Stream::create(&self.state(), name.clone(), create).await?)?;
        Ok(StatementOutput::Done(format!("stream `{name}` created")))
    }

    /// Puts a stream into the catalog, under whose name SQL then sees it.
    pub(super) fn add_stream(&self, stream: Stream) -> Result<Arc<Stream>> {
        let stream = Arc::new(stream);
        let table = StreamTable::try_new(&self.state(), Arc::clone(&stream))?;
        self.register(stream.name(), Arc::new(table))?;
        self.inner.catalog.put_stream(Arc::clone(&stream));
        Ok(stream)
    }

    pub(super) fn create_sink(&self, create: CreateSink) -> Result<StatementOutput> {
        let name = single_name(&create.name)?;
        let existing = self.inner.catalog.find_sink(&name);
        if existing.is_some() && create.if_not_exists {
            return Ok(StatementOutput::Done(format!("sink `{name}` is there already")));
        }
        if existing.is_some() && create.or_replace {
            self.refuse_drop_while_written(&name)?;
        } else {
            self.check_free(&name)?;
        }
        let sink = SinkDefinition::create(name.clone(), create)?;
        create_sink(sink.spec(), &self.sink_environment(Arc::clone(sink.memory()), None))?;
        self.inner.catalog.put_sink(Arc::new(sink));
        Ok(StatementOutput::Done(format!("sink `{name}` created")))
    }

    /// A materialized view: a query that keeps a table.
    pub(super) async fn create_view(
        &self,
        name: ObjectName,
        or_replace: bool,
        if_not_exists: bool,
        query: ContinuousQuery,
        text: String,
    ) -> Result<StatementOutput> {
        let name = single_name(&name)?;
        let existing = self.inner.catalog.find_view(&name);
        if existing.is_some() && if_not_exists {
            return Ok(StatementOutput::Done(format!("materialized view `{name}` is there already")));
        }
        if !(existing.is_some() && or_replace) {
            self.check_free(&name)?;
        }
        let plan = self.plan_query(&query).await?;
        let planned = self.plan_streaming(plan, &query).await?;
        if existing.is_some() {
            self.drop_view(&name).await?;
        }
        let started = self.start_view(name, text, planned, QuerySettings::of(&query)?).await?;
        Ok(StatementOutput::Query(started))
    }

    /// Starts the query that keeps a materialized view under a free name.
    pub(super) async fn start_view(
        &self,
        name: String,
        statement: String,
        planned: Planned,
        settings: QuerySettings,
    ) -> Result<Arc<StreamingQuery>> {
        let content = MemoryTable::new();
        let schema = planned.plan.sink_schema();
        let definition = self.view_definition(planned.plan.mode, planned.plan.logical.clone()).await;
        let started = self.start_memory_query(&name, planned, settings, Arc::clone(&content)).await?;
        let query = started.name().to_string();
        let view = MaterializedTable::new(name.clone(), query, statement, schema, content);
        let view = Arc::new(view.defined_by(definition));
        if let Err(taken) = self.register(&name, Arc::clone(&view) as _) {
            started.stop().await?;
            return Err(taken);
        }
        self.inner.catalog.put_view(view);
        Ok(started)
    }

    pub(super) async fn drop_object(&self, drop: Drop) -> Result<StatementOutput> {
        let name = single_name(&drop.name)?;
        let what = drop.kind.as_str().to_lowercase();
        let catalog = &self.inner.catalog;
        let found = match drop.kind {
            ObjectKind::Stream => catalog.find_stream(&name).is_some(),
            ObjectKind::Sink => catalog.find_sink(&name).is_some(),
            _ => catalog.find_view(&name).is_some(),
        };
        if !found && drop.if_exists {
            return Ok(StatementOutput::Done(format!("there is no {what} `{name}`")));
        }
        match drop.kind {
            ObjectKind::Stream => {
                catalog.stream(&name)?;
                self.refuse_drop_while_read(&name)?;
                self.deregister(&name)?;
                catalog.remove_stream(&name);
            }
            ObjectKind::Sink => {
                catalog.sink(&name)?;
                self.refuse_drop_while_written(&name)?;
                self.deregister(&name)?;
                catalog.remove_sink(&name);
            }
            ObjectKind::MaterializedView | ObjectKind::StreamingTable => {
                catalog.view(&name)?;
                self.drop_view(&name).await?;
            }
            ObjectKind::Table | ObjectKind::View => {
                return Err(Error::internal("DROP TABLE and DROP VIEW are DataFusion's own"));
            }
        }
        Ok(StatementOutput::Done(format!("{what} `{name}` dropped")))
    }

    /// Makes the name of a view free whose query has ended.
    pub(super) async fn drop_ended_view(&self, name: &str) -> Result<()> {
        let Some(view) = self.inner.catalog.find_view(name) else { return Ok(()) };
        let runs = self.active_queries().iter().any(|query| query.handle.name() == view.query());
        if runs { Ok(()) } else { self.drop_view(name).await }
    }

    async fn drop_view(&self, name: &str) -> Result<()> {
        let view = self.inner.catalog.view(name)?;
        self.stop_query(view.query(), true).await?;
        self.deregister(name)?;
        self.inner.catalog.remove_view(name);
        Ok(())
    }

    /// DataFusion's own DDL must not take a name of ours, nor drop what a query keeps.
    pub(super) fn check_ddl(&self, ddl: &DdlStatement) -> Result<()> {
        let catalog = &self.inner.catalog;
        let (name, drops) = match ddl {
            DdlStatement::CreateExternalTable(create) => (create.name.table(), false),
            DdlStatement::CreateMemoryTable(create) => (create.name.table(), false),
            DdlStatement::CreateView(create) => (create.name.table(), false),
            DdlStatement::DropTable(drop) => (drop.name.table(), true),
            DdlStatement::DropView(drop) => (drop.name.table(), true),
            _ => return Ok(()),
        };
        if !drops {
            return catalog.check_free(name);
        }
        let owned = |what: &str| {
            Err(Error::invalid(format!(
                "not a table but a {what}: `{name}`; use DROP {}",
                what.to_uppercase()
            )))
        };
        if catalog.find_stream(name).is_some() {
            return owned("stream");
        }
        if catalog.find_sink(name).is_some() {
            return owned("sink");
        }
        if catalog.find_view(name).is_some() {
            return owned("materialized view");
        }
        Ok(())
    }

    pub(super) fn check_free(&self, name: &str) -> Result<()> {
        self.inner.catalog.check_free(name)?;
        let taken = self.inner.context.table_exist(name).map_err(from_datafusion)?;
        if taken {
            return Err(Error::invalid(format!("name is taken by a table or view: `{name}`; drop it first")));
        }
        Ok(())
    }

    pub(super) fn register(
        &self,
        name: &str,
        table: Arc<dyn datafusion::catalog::TableProvider>,
    ) -> Result<()> {
        self.deregister(name)?;
        let reference = datafusion::common::TableReference::bare(name);
        self.inner.context.register_table(reference, table).map(|_| ()).map_err(from_datafusion)
    }

    fn deregister(&self, name: &str) -> Result<()> {
        let reference = datafusion::common::TableReference::bare(name);
        self.inner.context.deregister_table(reference).map(|_| ()).map_err(from_datafusion)
    }

    fn refuse_drop_while_read(&self, name: &str) -> Result<()> {
        match self.active_queries().into_iter().find(|query| query.streams.iter().any(|s| s == name)) {
            Some(query) => Err(in_use("stream", name, query.handle.name())),
            None => Ok(()),
        }
    }

    fn refuse_drop_while_written(&self, name: &str) -> Result<()> {
        match self.active_queries().into_iter().find(|query| query.target == name) {
            Some(query) => Err(in_use("sink", name, query.handle.name())),
            None => Ok(()),
        }
    }

    /// An error about a name that is nothing that rows can be inserted into.
    pub(super) fn unknown_target(&self, name: &str) -> Error {
        let streams = self.inner.catalog.streams();
        let sinks = self.inner.catalog.sinks();
        let names: Vec<&str> =
            streams.iter().map(|s| s.name()).chain(sinks.iter().map(|s| s.name())).collect();
        unknown("sink, stream or table", name, names)
    }
}

fn in_use(what: &str, name: &str, query: &str) -> Error {
    Error::invalid(format!("{what} `{name}` is in use by query `{query}`; STOP QUERY {query} first"))
}

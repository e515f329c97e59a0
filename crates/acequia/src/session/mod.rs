//! The way in: a session holds streams, sinks, tables and running queries, and executes statements.
//!
//! ```no_run
//! # async fn example() -> acequia::Result<()> {
//! use acequia::{Session, StatementOutput};
//!
//! let session = Session::new()?;
//! session.sql("CREATE STREAM lines (value VARCHAR) WITH (connector = 'socket', host = 'localhost', port = '9999')").await?;
//! let outputs = session.sql("SELECT value, count(*) AS n FROM lines GROUP BY value EMIT UPDATE").await?;
//! if let Some(StatementOutput::Query(query)) = outputs.last() {
//!     query.await_termination().await?;
//! }
//! # Ok(())
//! # }
//! ```

mod console;
mod create;
pub mod expressions;
mod foreach;
mod frame;
mod grouped;
mod insert;
mod introspect;
mod manager;
mod paths;
mod queries;
mod reader;
mod show;
mod state_reader;
mod stream;
mod writer;

pub use foreach::{Batch, ForeachWriter, UserError};
pub use frame::DataFrame;
pub use grouped::GroupedData;
pub use insert::StepSplit;
pub use manager::StreamingQueryManager;
pub use queries::RunningQuery;
pub use reader::DataStreamReader;
pub use state_reader::DataStateReader;
pub use stream::QueryStream;
pub use writer::DataStreamWriter;

use self::manager::Terminations;
use crate::catalog::Catalog;
use crate::error::{from_datafusion, from_planning};
use crate::exec::Shards;
use crate::functions;
use crate::plan::{AsofRelations, is_streaming, reads_view};
use crate::runtime::{Listeners, RetryPolicy, StreamingQuery, StreamingQueryListener, WatermarkPolicy};
use crate::sql::{ContinuousQuery, ParsedStatement, Statement, parse, refuse_versions};
use acequia_connectors::sinks::ConsoleOut;
use acequia_connectors::sources::StepCounter;
use acequia_core::disk::Disk;
use acequia_core::{BatchId, Clock, Error, OutputMode, Result, SinkBatch, SystemClock, options::unknown};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, Statement as PlannedStatement};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement as SqlStatement};
use futures::FutureExt;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

/// What a statement gave.
#[derive(Debug)]
pub enum StatementOutput {
    /// It was done; the text says what.
    Done(String),
    /// Rows.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        batches: Vec<RecordBatch>,
    },
    /// Rows were handed to streams as one micro-batch.
    Step(String),
    /// A continuous query was started.
    Query(Arc<StreamingQuery>),
}

/// What a `console` or `memory` sink got in one batch.
#[derive(Debug)]
pub struct BatchOutput<'a> {
    /// The query's name.
    pub query: &'a str,
    /// The batch.
    pub batch: BatchId,
    /// What the rows mean.
    pub mode: OutputMode,
    /// The columns.
    pub schema: &'a SchemaRef,
    /// The rows.
    pub parts: &'a [SinkBatch],
}

/// Is told what `console` and `memory` sinks get, batch by batch.
pub type OutputListener = Arc<dyn Fn(BatchOutput<'_>) + Send + Sync>;

/// A session. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

/// A session that may be gone: what a query holds, so that it ends with its session.
#[derive(Clone)]
struct WeakSession(Weak<Inner>);

impl WeakSession {
    fn upgrade(&self) -> Result<Session> {
        let gone = || Error::cancelled("the session of this query is gone");
        self.0.upgrade().map(|inner| Session { inner }).ok_or_else(gone)
    }
}

impl std::fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeakSession").finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    context: SessionContext,
    catalog: Catalog,
    queries: Arc<RwLock<IndexMap<String, Arc<RunningQuery>>>>,
    steps: StepCounter,
    /// How many names of streams and frames were made up.
    unnamed: AtomicU64,
    transaction: Mutex<Option<insert::Transaction>>,
    split: StepSplit,
    held: Mutex<insert::StreamRows>,
    settings: Mutex<Settings>,
    clock: Arc<dyn Clock>,
    disk: Disk,
    console: Arc<dyn ConsoleOut>,
    on_output: Option<OutputListener>,
    listeners: Arc<Listeners>,
    terminations: Arc<Terminations>,
    /// The names of queries that are being started.
    starting: Mutex<HashSet<String>>,
    retry: RetryPolicy,
}

impl Drop for Inner {
    /// Queries end with their session, whoever else has a handle.
    fn drop(&mut self) {
        for query in self.queries.read().values() {
            query.handle.stop_soon();
        }
    }
}

/// What `SET acequia.... = ...` sets, for queries that are started after it.
#[derive(Default)]
struct Settings {
    policy: WatermarkPolicy,
    shards: Shards,
}

/// Makes a [`Session`].
#[derive(Default)]
pub struct SessionBuilder {
    clock: Option<Arc<dyn Clock>>,
    disk: Disk,
    console: Option<Arc<dyn ConsoleOut>>,
    on_output: Option<OutputListener>,
    listeners: Arc<Listeners>,
    split: StepSplit,
    shards: Shards,
    retry: RetryPolicy,
}

impl SessionBuilder {
    /// Where time comes from; the machine's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The local disk of checkpoints and files that sinks write; a test may watch it and make it fail.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    /// Where `console` sinks print; standard output by default.
    #[must_use]
    pub fn console(mut self, console: Arc<dyn ConsoleOut>) -> Self {
        self.console = Some(console);
        self
    }

    /// Is told what `console` and `memory` sinks get.
    #[must_use]
    pub fn on_output(mut self, listener: OutputListener) -> Self {
        self.on_output = Some(listener);
        self
    }

    /// Is told what queries do; more can be added later: [`StreamingQueryManager::add_listener`].
    #[must_use]
    pub fn listener(self, listener: Arc<dyn StreamingQueryListener>) -> Self {
        self.listeners.add(listener);
        self
    }

    /// How queries bear what may pass, as a disk that does not answer.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How rows that statements hand to streams become micro-batches; as given by default.
    #[must_use]
    pub fn step_split(mut self, split: StepSplit) -> Self {
        self.split = split;
        self
    }

    /// Into how many shards queries split the state of each operator, until `SET acequia.shards` says otherwise;
    /// [`Shards::AUTO`] by default.
    #[must_use]
    pub fn shards(mut self, shards: Shards) -> Self {
        self.shards = shards;
        self
    }

    /// The session.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses a function of ours.
    pub fn build(self) -> Result<Session> {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .set_bool("datafusion.sql_parser.collect_spans", true);
        let queries: introspect::Queries = Arc::default();
        let state = SessionStateBuilder::new().with_config(config).with_default_features();
        let mut state = functions::install(state, functions::Mode::Batch).map_err(from_datafusion)?;
        state.register_relation_planner(Arc::new(AsofRelations)).map_err(from_datafusion)?;
        // Files can be read by their path: SELECT * FROM 'out/totals'.
        let context = SessionContext::new_with_state(state).enable_url_table();
        introspect::register(&context, &queries);
        let terminations: Arc<Terminations> = Arc::default();
        self.listeners.add(Arc::clone(&terminations) as _);
        let inner = Inner {
            context,
            catalog: Catalog::default(),
            queries,
            steps: StepCounter::default(),
            unnamed: AtomicU64::default(),
            transaction: Mutex::default(),
            split: self.split,
            held: Mutex::default(),
            settings: Mutex::new(Settings { shards: self.shards, ..Settings::default() }),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::default())),
            disk: self.disk,
            console: self.console.unwrap_or_else(|| Arc::new(console::Stdout)),
            on_output: self.on_output,
            listeners: self.listeners,
            terminations,
            starting: Mutex::default(),
            retry: self.retry,
        };
        Ok(Session { inner: Arc::new(inner) })
    }
}

impl Session {
    /// A session with the defaults.
    ///
    /// # Errors
    /// As [`SessionBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// A session to be configured.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// DataFusion's context: its tables, functions and settings are this session's.
    pub fn context(&self) -> &SessionContext {
        &self.inner.context
    }

    /// The named streams, sinks and materialized views.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Executes every statement of a text, in order; stops at the first that fails.
    ///
    /// # Errors
    /// `Invalid`, `Unsupported` and the like, with the place in the text where there is one.
    pub async fn sql(&self, text: &str) -> Result<Vec<StatementOutput>> {
        let mut outputs = vec![];
        for statement in parse(text) {
            outputs.push(self.execute(statement?).await?);
        }
        Ok(outputs)
    }

    /// Executes one statement.
    ///
    /// # Errors
    /// As [`Session::sql`].
    pub async fn execute(&self, parsed: ParsedStatement) -> Result<StatementOutput> {
        let at = parsed.location;
        self.dispatch(parsed).await.map_err(|e| e.at(at))
    }

    async fn dispatch(&self, parsed: ParsedStatement) -> Result<StatementOutput> {
        let text = parsed.text;
        match parsed.statement {
            Statement::CreateStream(create) => self.create_stream(*create).await,
            Statement::CreateSink(create) => self.create_sink(create),
            Statement::CreateMaterializedView(create) => {
                let (name, query) = (create.name, create.query);
                self.create_view(name, create.or_replace, create.if_not_exists, query, text).await
            }
            Statement::CreateStreamingTable(create) => {
                let (name, query) = (create.name, create.query);
                self.create_view(name, create.or_replace, create.if_not_exists, query, text).await
            }
            Statement::Insert(insert) => self.insert(insert).await,
            Statement::Query(query) => self.select(query).await,
            Statement::Begin => self.begin(),
            Statement::Commit => self.commit(),
            Statement::Rollback => self.rollback(),
            Statement::Drop(drop) => self.drop_object(drop).await,
            Statement::Describe(describe) => self.describe(describe).await,
            Statement::Show(kind) => self.show(kind).await,
            Statement::ShowCreate { kind, name } => self.show_create(kind, &name).await,
            Statement::StopQuery { name, if_exists } => self.stop_query(&name, if_exists).await,
            Statement::ExplainStreaming(explain) => self.explain_streaming(explain).await,
            Statement::Set { key, value } => self.set(&key, &value),
            Statement::DataFusion(statement) => self.datafusion(*statement).await,
        }
    }

    /// A SELECT over static data gives its rows; one over a stream is a continuous query that prints its batches.
    async fn select(&self, query: ContinuousQuery) -> Result<StatementOutput> {
        let plan = self.plan_query(&query).await?;
        if is_streaming(&plan) || (query.emit.is_some() && reads_view(&plan)) {
            return self.start_console_query(plan, query).await;
        }
        query.expect_plain("this one reads no stream")?;
        self.collect(plan).await
    }

    async fn datafusion(&self, statement: DataFusionStatement) -> Result<StatementOutput> {
        let plan = self.plan_statement(statement).await?;
        if let LogicalPlan::Ddl(ddl) = &plan {
            self.check_ddl(ddl)?;
            let done = format!("{} done", ddl.name());
            self.collect(plan).await?;
            return Ok(StatementOutput::Done(done));
        }
        if let LogicalPlan::Explain(explain) = &plan
            && is_streaming(&explain.plan)
        {
            return self.explain_plan(explain.plan.as_ref().clone()).await;
        }
        let executes = matches!(plan, LogicalPlan::Statement(PlannedStatement::Execute(_)));
        let silent = matches!(plan, LogicalPlan::Statement(_)) && !executes;
        let output = self.collect(plan).await?;
        Ok(if silent { StatementOutput::Done("done".to_string()) } else { output })
    }

    async fn collect(&self, plan: LogicalPlan) -> Result<StatementOutput> {
        let run = async {
            let frame = self.inner.context.execute_logical_plan(plan).await.map_err(from_datafusion)?;
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let batches = frame.collect().await.map_err(from_datafusion)?;
            Ok(StatementOutput::Rows { schema, batches })
        };
        without_panic(run.boxed()).await
    }

    /// The logical plan of a query, not optimized.
    async fn plan_query(&self, query: &ContinuousQuery) -> Result<LogicalPlan> {
        let statement = SqlStatement::Query(query.query.clone());
        let statement = DataFusionStatement::Statement(Box::new(statement));
        let plan = self.plan_statement(statement).await?;
        check_struct_names(plan.schema().as_arrow())?;
        Ok(plan)
    }

    async fn plan_statement(&self, statement: DataFusionStatement) -> Result<LogicalPlan> {
        refuse_versions(&statement)?;
        paths::check(&statement)?;
        let state = self.state();
        let planning = async { state.statement_to_plan(statement).await.map_err(from_planning) };
        without_panic(planning.boxed()).await
    }

    fn set(&self, key: &str, value: &str) -> Result<StatementOutput> {
        match key {
            "acequia.watermark.policy" => {
                self.inner.settings.lock().policy = match value.to_ascii_lowercase().as_str() {
                    "min" => WatermarkPolicy::Min,
                    "max" => WatermarkPolicy::Max,
                    _ => return Err(unknown("watermark policy", value, ["min", "max"])),
                };
            }
            "acequia.shards" => self.inner.settings.lock().shards = value.parse()?,
            _ => return Err(unknown("setting", key, ["acequia.watermark.policy", "acequia.shards"])),
        }
        Ok(StatementOutput::Done(format!("{key} = {value}")))
    }

    fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.inner))
    }

    fn state(&self) -> SessionState {
        self.inner.context.state()
    }
}

/// A name of one part as DataFusion reads it: lower case unless quoted.
fn single_name(name: &ObjectName) -> Result<String> {
    match &name.0[..] {
        [part] => match part.as_ident() {
            Some(ident) => Ok(crate::catalog::normalize(ident)),
            None => Err(Error::invalid(format!("not a name: `{name}`"))),
        },
        _ => Err(Error::unsupported(format!(
            "streams, sinks and queries have no schema: `{name}`; use one name"
        ))),
    }
}

/// Refuses a struct with two fields of one name: JSON, access by name and `window.start` would see only one of them.
fn check_struct_names(schema: &Schema) -> Result<()> {
    let mut open: Vec<&FieldRef> = schema.fields().iter().collect();
    while let Some(field) = open.pop() {
        match field.data_type() {
            DataType::Struct(fields) => {
                let twice = fields
                    .iter()
                    .enumerate()
                    .find(|(n, f)| fields[..*n].iter().any(|g| g.name() == f.name()));
                if let Some((_, twice)) = twice {
                    return Err(Error::invalid(format!(
                        "a struct has two fields of one name; name them apart: column=`{}` field=`{}`",
                        field.name(),
                        twice.name()
                    )));
                }
                open.extend(fields);
            }
            DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
                open.push(inner);
            }
            DataType::Map(entries, _) => open.push(entries),
            _ => {}
        }
    }
    Ok(())
}

/// What planning or running a statement gives; a panic in DataFusion or a function ends the statement, not the program.
pub(super) async fn without_panic<T>(work: BoxFuture<'_, Result<T>>) -> Result<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| {
        Err(Error::internal(
            "DataFusion or a function panicked over this statement; write it another way, and report it",
        ))
    })
}

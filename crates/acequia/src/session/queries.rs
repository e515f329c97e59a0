//! Starting, finding and stopping continuous queries.

use super::{BatchOutput, Session, StatementOutput, without_panic};
use crate::catalog::{MaterializedTable, SinkDefinition, ViewDefinition};
use crate::plan::{OutputSpec, StreamingPlan, is_streaming, plan_streaming};
use crate::runtime::{CheckpointPlace, PlanFactory, QueryDefinition, RetryPolicy, StreamingQuery, start};
use crate::sql::{ContinuousQuery, ExplainStreaming, Statement, Trigger};
use acequia_connectors::sinks::{BatchListener, MemoryTable, SinkEnvironment, SinkSpec, create_sink};
use acequia_core::{Error, Location, Options, OutputMode, Result, Sink, options::unknown};
use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use futures::FutureExt;
use indexmap::IndexMap;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A query of the session, with what it reads and writes.
#[derive(Debug)]
pub struct RunningQuery {
    /// Its handle.
    pub handle: Arc<StreamingQuery>,
    /// The streams that it reads.
    pub streams: Vec<String>,
    /// The sink or view that it writes.
    pub target: String,
    /// What a batch gives.
    pub mode: OutputMode,
    /// The columns that identify a row of the result; `None` when every row is new or nothing does.
    pub key: Option<Vec<usize>>,
    /// The query as it was planned, before any rewriting: over tables it is what the folded output has to equal.
    pub logical: LogicalPlan,
    /// Whether a call that is about all queries has told its error.
    told: AtomicBool,
}

/// How many queries that have ended a session knows.
const ENDED_QUERIES: usize = 100;

impl RunningQuery {
    /// The error so far, or else this query's if it was not told before.
    fn tell_once(&self, first: Result<()>, own: Result<()>) -> Result<()> {
        let news = first.is_ok() && own.is_err() && !self.told.swap(true, Ordering::Relaxed);
        if news { own } else { first }
    }
}

/// Where a query writes.
pub(super) enum Output<'a> {
    /// A sink of the program's own.
    Own(Box<dyn Sink>),
    /// A connector's; and the table that it fills if it is one in memory.
    Connector(&'a SinkSpec, Arc<MemoryTable>),
}

/// A name that is taken until the query that has it is one of the session's.
struct ReservedName<'a> {
    name: String,
    starting: &'a Mutex<HashSet<String>>,
}

impl Drop for ReservedName<'_> {
    fn drop(&mut self) {
        self.starting.lock().remove(&self.name);
    }
}

/// A query's plan, and how to make it again.
pub(super) struct Planned {
    pub(super) plan: StreamingPlan,
    replan: PlanFactory,
}

impl Planned {
    /// As [`plan_streaming`].
    pub(super) async fn new(session: &Session, logical: LogicalPlan, output: OutputSpec) -> Result<Self> {
        let (state, shards) = (session.state(), session.inner.settings.lock().shards);
        let plan = plan_streaming(&state, logical.clone(), &output, shards).await?;
        let output = OutputSpec { mode: Some(plan.mode), ..output };
        let replan: PlanFactory = Arc::new(move || {
            let (state, logical, output) = (state.clone(), logical.clone(), output.clone());
            async move { plan_streaming(&state, logical, &output, shards).await }.boxed()
        });
        Ok(Self { plan, replan })
    }
}

/// How a query runs: its trigger, and what its trailing `WITH (...)` says.
#[derive(Debug, Default)]
pub(super) struct QuerySettings {
    pub(super) name: Option<String>,
    pub(super) checkpoint: Option<String>,
    pub(super) trigger: Option<Trigger>,
    /// The columns that it declares to be the key of its result.
    pub(super) key: Option<Vec<String>>,
    /// How it bears what may pass, if not as the session says.
    pub(super) retry: Option<RetryPolicy>,
    /// Says when the query is asked to stop.
    pub(super) stopping: watch::Sender<bool>,
    /// Where the query stands in its text.
    location: Option<Location>,
}

impl QuerySettings {
    pub(super) fn of(query: &ContinuousQuery) -> Result<Self> {
        let mut options = query.options.clone().owned_by("the query");
        let (name, checkpoint) = (options.take("name")?, options.take("checkpoint")?);
        let key = options.take_names("key")?;
        options.finish()?;
        let trigger = query.trigger.map(|(trigger, _)| trigger);
        let location = Some(query.location);
        Ok(Self { name, checkpoint, trigger, key, location, ..Self::default() })
    }
}

impl Session {
    /// Every query of the session, the last hundred that have ended included.
    pub fn queries(&self) -> Vec<Arc<RunningQuery>> {
        self.inner.queries.read().values().cloned().collect()
    }

    /// The queries that still run.
    pub fn active_queries(&self) -> Vec<Arc<RunningQuery>> {
        self.queries().into_iter().filter(|query| query.handle.is_active()).collect()
    }

    /// Whether a statement starts a continuous query that can go on from a checkpoint: a SELECT over a stream, or an
    /// INSERT of one. Nothing is started, and a statement that fails starts none.
    pub async fn starts_query(&self, statement: &Statement) -> bool {
        let query = match statement {
            Statement::Query(query) => query,
            Statement::Insert(insert) => &insert.query,
            _ => return false,
        };
        self.plan_query(query).await.is_ok_and(|plan| is_streaming(&plan))
    }

    /// Waits until every running query has processed what was there at this call.
    ///
    /// # Errors
    /// The first error of a query that failed, once the others are idle. This or [`Session::stop_all`] tells it once;
    /// the query's own handle tells it always.
    pub async fn process_all_available(&self) -> Result<()> {
        let mut first = Ok(());
        for query in self.queries() {
            first = query.tell_once(first, query.handle.process_all_available().await);
        }
        first
    }

    /// Stops every query after its batch.
    ///
    /// # Errors
    /// The first error of a query that had failed, as [`Session::process_all_available`].
    pub async fn stop_all(&self) -> Result<()> {
        let mut first = Ok(());
        for query in self.queries() {
            first = query.tell_once(first, query.handle.stop().await);
        }
        first
    }

    pub(super) async fn stop_query(&self, name: &str, if_exists: bool) -> Result<StatementOutput> {
        let found = self.inner.queries.read().get(name).cloned();
        let Some(query) = found else {
            if if_exists {
                return Ok(StatementOutput::Done(format!("there is no query `{name}`")));
            }
            let queries = self.inner.queries.read();
            return Err(unknown("query", name, queries.keys().map(String::as_str)));
        };
        let stopped = query.handle.stop().await;
        // One that has failed is gone too; its error is told this last time.
        self.inner.queries.write().shift_remove(name);
        stopped?;
        Ok(StatementOutput::Done(format!("query `{name}` stopped")))
    }

    pub(super) async fn plan_streaming(&self, plan: LogicalPlan, query: &ContinuousQuery) -> Result<Planned> {
        let mode = query.emit.as_ref().map(|(mode, _)| *mode);
        let output = OutputSpec { mode, key: QuerySettings::of(query)?.key };
        let planned = without_panic(Planned::new(self, plan, output).boxed()).await;
        let at = query.emit.as_ref().map_or(query.location, |(_, at)| *at);
        planned.map_err(|e| e.at(at))
    }

    /// What a view that a query keeps stands for in another query.
    pub(super) async fn view_definition(&self, mode: OutputMode, logical: LogicalPlan) -> ViewDefinition {
        // Rows that would change in a mode that gives them at once are held back in one that does not.
        let finality = mode == OutputMode::Append && {
            let (state, shards) = (self.state(), self.inner.settings.lock().shards);
            let output = Some(OutputMode::Changes).into();
            let changes = plan_streaming(&state, logical.clone(), &output, shards).await;
            !changes.is_ok_and(|changes| !changes.weighted)
        };
        ViewDefinition { logical, mode, finality }
    }

    pub(super) async fn explain_streaming(&self, explain: ExplainStreaming) -> Result<StatementOutput> {
        let Some(query) = explain.query() else {
            return Err(Error::invalid(
                "EXPLAIN STREAMING explains a query; write it before SELECT, INSERT or CREATE MATERIALIZED VIEW",
            ));
        };
        let plan = self.plan_query(query).await?;
        explained(&self.plan_streaming(plan, query).await?)
    }

    /// What `EXPLAIN STREAMING` prints of a plan.
    pub(super) async fn explain_frame(&self, plan: LogicalPlan, mode: Option<OutputMode>) -> Result<String> {
        let planned = without_panic(Planned::new(self, plan, mode.into()).boxed()).await?;
        Ok(planned.plan.explain)
    }

    /// `EXPLAIN` of a query that turns out to be continuous.
    pub(super) async fn explain_plan(&self, plan: LogicalPlan) -> Result<StatementOutput> {
        explained(&Planned::new(self, plan, OutputSpec::default()).await?)
    }

    pub(super) async fn start_console_query(
        &self,
        plan: LogicalPlan,
        query: ContinuousQuery,
    ) -> Result<StatementOutput> {
        let planned = self.plan_streaming(plan, &query).await?;
        let spec =
            SinkSpec { connector: "console".into(), name: "console".into(), options: Options::default() };
        let output = Output::Connector(&spec, MemoryTable::new());
        let started = self.start_query("console", planned, QuerySettings::of(&query)?, output).await?;
        Ok(StatementOutput::Query(started))
    }

    pub(super) async fn start_memory_query(
        &self,
        view: &str,
        planned: Planned,
        mut settings: QuerySettings,
        content: Arc<MemoryTable>,
    ) -> Result<Arc<StreamingQuery>> {
        if settings.checkpoint.is_some() {
            return Err(Error::unsupported(format!(
                "the rows of a materialized view live in memory and cannot go on from a checkpoint: view=`{view}`; leave the checkpoint out, or INSERT INTO a sink"
            )));
        }
        let spec =
            SinkSpec { connector: "memory".into(), name: view.to_string(), options: Options::default() };
        settings.name.get_or_insert_with(|| view.to_string());
        self.start_query(view, planned, settings, Output::Connector(&spec, content)).await
    }

    pub(super) async fn start_sink_query(
        &self,
        sink: Arc<SinkDefinition>,
        plan: LogicalPlan,
        query: ContinuousQuery,
    ) -> Result<StatementOutput> {
        let planned = self.plan_streaming(plan, &query).await?;
        let settings = QuerySettings::of(&query)?;
        let schema = planned.plan.sink_schema();
        let in_memory = sink.spec().connector.eq_ignore_ascii_case("memory");
        let content = Arc::clone(sink.memory());
        if in_memory {
            self.check_shared_table(&sink, planned.plan.mode, &schema)?;
            let written = self.active_queries().iter().any(|query| query.target == sink.name());
            if settings.checkpoint.is_none() && !written {
                content.reset();
            }
        }
        let output = Output::Connector(sink.spec(), Arc::clone(&content));
        let started = self.start_query(sink.name(), planned, settings, output).await?;
        if in_memory {
            let name = sink.name().to_string();
            let table = MaterializedTable::new(
                name.clone(),
                started.name().to_string(),
                String::new(),
                schema,
                content,
            );
            self.register(&name, Arc::new(table))?;
        }
        Ok(StatementOutput::Query(started))
    }

    /// Two queries may add rows to one table in memory; replacing rows, one would overwrite the other's.
    fn check_shared_table(&self, sink: &SinkDefinition, mode: OutputMode, schema: &SchemaRef) -> Result<()> {
        let queries = self.inner.queries.read();
        let mut writers = queries.iter().filter(|(_, q)| q.target == sink.name() && q.handle.is_active());
        let both_add = |other: OutputMode| (mode, other) == (OutputMode::Append, OutputMode::Append);
        let same_columns = sink.memory().schema().is_some_and(|columns| columns == *schema);
        match writers.find(|(_, query)| !same_columns || !both_add(query.mode)) {
            Some((other, _)) => Err(Error::invalid(format!(
                "sink `{}` holds the result of query `{other}`, and two queries share a memory sink only in APPEND mode with the same columns; STOP QUERY {other} first, or use another sink",
                sink.name()
            ))),
            None => Ok(()),
        }
    }

    /// Starts a planned query.
    pub(super) async fn start_query(
        &self,
        target: &str,
        Planned { plan, replan }: Planned,
        settings: QuerySettings,
        output: Output<'_>,
    ) -> Result<Arc<StreamingQuery>> {
        let reserved = self.reserve_query_name(settings.name)?;
        let name = reserved.name.clone();
        let streams: Vec<String> = plan.sources.iter().map(|leaf| leaf.stream.name().to_string()).collect();
        let (mode, key, logical) = (plan.mode, plan.key.clone(), plan.logical.clone());
        let sink = match output {
            Output::Own(sink) => sink,
            Output::Connector(spec, memory) => {
                let listener = self.output_listener(name.clone(), plan.sink_schema());
                create_sink(spec, &self.sink_environment(memory, listener))?
            }
        };
        let place = settings.checkpoint.as_deref().map(|at| CheckpointPlace::open(at, &self.inner.disk));
        let definition = QueryDefinition {
            name: name.clone(),
            target: target.to_string(),
            plan,
            replan,
            sink,
            checkpoint: place.transpose()?,
            trigger: settings.trigger,
            stopping: settings.stopping,
            policy: self.inner.settings.lock().policy,
            retry: settings.retry.unwrap_or(self.inner.retry),
            clock: Arc::clone(&self.inner.clock),
            listeners: Arc::clone(&self.inner.listeners),
        };
        let handle = start(definition).await.map_err(|e| match settings.location {
            Some(location) => e.at(location),
            None => e,
        })?;
        let target = target.to_string();
        let (told, query) = (AtomicBool::new(false), Arc::clone(&handle));
        let running = RunningQuery { handle: query, streams, target, mode, key, logical, told };
        let mut queries = self.inner.queries.write();
        queries.insert(name, Arc::new(running));
        forget_long_ended(&mut queries);
        drop((queries, reserved));
        Ok(handle)
    }

    /// The name as given, or the next free `q1`, `q2`, ...; nobody else gets it meanwhile.
    fn reserve_query_name(&self, given: Option<String>) -> Result<ReservedName<'_>> {
        let mut starting = self.inner.starting.lock();
        let queries = self.inner.queries.read();
        let name = match given {
            Some(name) => {
                let runs = queries.get(&name).is_some_and(|query| query.handle.is_active());
                if runs || starting.contains(&name) {
                    return Err(Error::invalid(format!(
                        "a query of this name runs already: `{name}`; STOP QUERY {name} first, or give another name"
                    )));
                }
                name
            }
            None => {
                let free = |name: &String| !queries.contains_key(name) && !starting.contains(name);
                let mut names = (1_u64..).map(|number| format!("q{number}"));
                names.find(free).ok_or_else(|| Error::internal("every name is taken"))?
            }
        };
        starting.insert(name.clone());
        Ok(ReservedName { name, starting: &self.inner.starting })
    }

    pub(super) fn sink_environment(
        &self,
        memory: Arc<MemoryTable>,
        on_batch: Option<BatchListener>,
    ) -> SinkEnvironment {
        SinkEnvironment {
            console: Arc::clone(&self.inner.console),
            memory,
            on_batch,
            disk: self.inner.disk.clone(),
            clock: Arc::clone(&self.inner.clock),
        }
    }

    fn output_listener(&self, query: String, schema: SchemaRef) -> Option<BatchListener> {
        let listener = self.inner.on_output.clone()?;
        Some(Arc::new(move |published| {
            listener(BatchOutput {
                query: &query,
                batch: published.batch,
                mode: published.mode,
                schema: &schema,
                parts: published.parts,
            });
        }))
    }
}

/// Forgets the first of many queries that have ended.
fn forget_long_ended(queries: &mut IndexMap<String, Arc<RunningQuery>>) {
    let ended = queries.values().filter(|query| !query.handle.is_active()).count();
    let mut surplus = ended.saturating_sub(ENDED_QUERIES);
    queries.retain(|_, query| {
        let forgotten = surplus > 0 && !query.handle.is_active();
        surplus -= usize::from(forgotten);
        !forgotten
    });
}

fn explained(planned: &Planned) -> Result<StatementOutput> {
    let schema = Arc::new(Schema::new(vec![Field::new("plan", DataType::Utf8, false)]));
    let lines: StringArray = planned.plan.explain.lines().map(Some).collect();
    let rows = arrow::array::RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(lines)])?;
    Ok(StatementOutput::Rows { schema, batches: vec![rows] })
}

//! Runs the statements of a text in order and tells what happens.
//!
//! With `step`, every statement that hands rows to streams, and every one that starts a query, waits until each running
//! query is idle again, so that a run is deterministic; events of a step come query by query, in the order in which the
//! queries were started. At the end the queries are stopped. Without it, events come as they happen and the run ends
//! when its queries do.
//!
//! Comments right before a statement steer it: see [`crate::directives`].

use crate::directives::Directives;
use crate::event::Event;
use crate::json;
use acequia::session::RunningQuery;
use acequia::sql::{ParsedStatement, split};
use acequia::{
    BatchOutput, Error, QueryRun, Result, Session, SessionBuilder, StatementOutput, StreamingQueryListener,
    StreamingQueryProgress,
};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Is told what happens.
pub type Emit<'a> = &'a mut dyn FnMut(Event) -> Result<()>;

/// How a script runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScriptOptions {
    /// Wait after each step, and stop the queries at the end.
    pub step: bool,
}

/// A run of a script.
pub struct Script {
    session: Session,
    options: ScriptOptions,
    events: Receiver<Event>,
    /// The number of the last statement.
    last: Cell<usize>,
    /// The runs of queries whose error has been told: it is told once, unless STOP QUERY asks for it.
    told: RefCell<HashSet<String>>,
}

/// Sends what queries do to the one who reads the events.
struct Recorder {
    sender: Mutex<Sender<Event>>,
}

impl Recorder {
    fn send(&self, event: Event) {
        // Nobody listens any more once the run is over.
        let _ = self.sender.lock().send(event);
    }
}

impl StreamingQueryListener for Recorder {
    fn on_query_started(&self, query: &QueryRun) {
        if !query.growing_state.is_empty() {
            let (query, why) = (query.name.clone(), query.growing_state.clone());
            self.send(Event::StateGrows { query, why });
        }
    }

    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        self.send(Event::Progress(Box::new(progress.clone())));
    }

    fn on_query_retry(&self, query: &QueryRun, error: &Error, wait: Duration) {
        self.send(Event::Retry { query: query.name.clone(), message: error.to_string(), wait });
    }
}

impl Script {
    /// A run in a session of its own, made from `builder`.
    ///
    /// # Errors
    /// As [`SessionBuilder::build`].
    pub fn new(builder: SessionBuilder, options: ScriptOptions) -> Result<Self> {
        let (sender, events) = channel();
        let recorder = Arc::new(Recorder { sender: Mutex::new(sender) });
        let outputs = Arc::clone(&recorder);
        let on_output = move |output: BatchOutput<'_>| {
            if let Some(event) = Event::batch(&output) {
                outputs.send(event);
            }
        };
        let session = builder.on_output(Arc::new(on_output)).listener(recorder).build()?;
        Ok(Self { session, options, events, last: Cell::default(), told: RefCell::default() })
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs every statement; `emit` is told what happens. Gives the number of statements run.
    ///
    /// # Errors
    /// The first error that the text does not expect, after it was emitted; those of `emit`.
    pub async fn run(&self, text: &str, emit: Emit<'_>) -> Result<usize> {
        let statements = split(text);
        let count = statements.len();
        for source in statements {
            let (number, directives) = (source.number, Directives::of(&source.leading_comments));
            let (statement, directives) = match directives {
                Ok(directives) => (source.parse().map(|statement| source.with(statement)), directives),
                Err(malformed) => (Err(malformed), Directives::default()),
            };
            self.execute(number, statement, &directives, emit).await?;
        }
        if self.session.in_transaction() {
            let lost =
                Error::invalid("BEGIN without COMMIT: the rows inserted after it were handed to no stream");
            self.report(count, Err(lost), &Directives::default(), emit)?;
        }
        Ok(count)
    }

    /// Runs one statement of a text, or reports that it could not be parsed.
    ///
    /// # Errors
    /// As [`Script::run`].
    pub async fn execute(
        &self,
        number: usize,
        statement: Result<ParsedStatement>,
        directives: &Directives,
        emit: Emit<'_>,
    ) -> Result<()> {
        self.last.set(number);
        let outcome = match statement {
            Ok(statement) => self.statement(statement, directives).await,
            Err(error) => Err(error),
        };
        self.drain(emit)?;
        self.report(number, outcome, directives, emit)
    }

    /// Waits until every running query is idle and tells what they did.
    ///
    /// # Errors
    /// The error of a query that failed meanwhile; those of `emit`.
    pub async fn settle(&self, emit: Emit<'_>) -> Result<()> {
        let mut settled = Ok(());
        for query in self.session.active_queries() {
            settled = settled.and(query.handle.process_all_available().await);
        }
        self.drain(emit)?;
        settled
    }

    /// After the last statement: stops the queries of a stepped run, waits for those of any other.
    ///
    /// # Errors
    /// The error of a query that failed and was not expected to, after it was emitted; those of `emit`.
    pub async fn finish(&self, emit: Emit<'_>) -> Result<()> {
        if self.options.step {
            return self.stop(emit).await;
        }
        let ended = self.wait_for_queries(emit).await;
        self.end(ended, emit)
    }

    /// Stops every query after its batch and tells what they did.
    ///
    /// # Errors
    /// As [`Script::finish`].
    pub async fn stop(&self, emit: Emit<'_>) -> Result<()> {
        let mut stopped = Ok(());
        for query in self.session.queries() {
            stopped = stopped.and(self.untold(&query, query.handle.stop().await));
        }
        self.end(stopped, emit)
    }

    fn end(&self, ended: Result<()>, emit: Emit<'_>) -> Result<()> {
        self.drain(emit)?;
        match ended {
            Ok(()) => Ok(()),
            Err(error) => self.report(self.last.get(), Err(error), &Directives::default(), emit),
        }
    }

    /// Waits until every query is idle, those beside one that fails too.
    async fn idle(&self) -> Result<()> {
        let mut idle = Ok(());
        for query in self.session.queries() {
            let ended = query.handle.process_all_available().await;
            // Of several that fail, each is told with a step of its own.
            if idle.is_ok() {
                idle = self.untold(&query, ended);
            }
        }
        idle
    }

    /// The error of a query, unless it has been told.
    fn untold(&self, query: &RunningQuery, ended: Result<()>) -> Result<()> {
        match ended {
            Err(error) if self.told.borrow_mut().insert(query.handle.run_id().to_string()) => Err(error),
            _ => Ok(()),
        }
    }

    async fn statement(
        &self,
        statement: ParsedStatement,
        directives: &Directives,
    ) -> Result<StatementOutput> {
        let output = self.session.execute(statement).await?;
        if directives.error.is_some() {
            // Rows that a query is expected to fail over cannot be held back any longer.
            self.session.release_steps()?;
        }
        if self.options.step && matches!(output, StatementOutput::Step(_) | StatementOutput::Query(_)) {
            self.idle().await?;
        }
        Ok(output)
    }

    fn report(
        &self,
        statement: usize,
        outcome: Result<StatementOutput>,
        directives: &Directives,
        emit: Emit<'_>,
    ) -> Result<()> {
        let error = match (outcome, &directives.error) {
            (Ok(_), Some(text)) => Error::data(format!(
                "statement succeeded and should have failed: statement={statement} error=`{text}`"
            )),
            (Ok(output), None) => return emit(done(statement, output, directives.sort_rows)?),
            (Err(error), Some(text)) if error.to_string().contains(text) => {
                return emit(Event::Error { statement, expected: true, error: Arc::new(error) });
            }
            (Err(error), _) => error,
        };
        let error = Arc::new(error);
        emit(Event::Error { statement, expected: false, error: Arc::clone(&error) })?;
        Err(Error::new(error.kind(), error.to_string()).with_source(error))
    }

    /// Emits what queries did: in a stepped run query by query, otherwise as it came.
    fn drain(&self, emit: Emit<'_>) -> Result<()> {
        let mut events: Vec<Event> = self.events.try_iter().collect();
        if self.options.step {
            let order: Vec<String> =
                self.session.queries().iter().map(|q| q.handle.name().to_string()).collect();
            events.sort_by_key(|event| order.iter().position(|name| Some(name.as_str()) == event.query()));
        }
        events.into_iter().try_for_each(emit)
    }

    /// Waits until every query has ended, or one has failed.
    async fn wait_for_queries(&self, emit: Emit<'_>) -> Result<()> {
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(20);
        loop {
            let queries = self.session.queries();
            let running = queries.iter().any(|query| query.handle.is_active());
            self.drain(emit)?;
            for query in queries.iter().filter(|query| !query.handle.is_active()) {
                self.untold(query, query.handle.await_termination().await)?;
            }
            if !running {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn done(statement: usize, output: StatementOutput, sort_rows: bool) -> Result<Event> {
    Ok(match output {
        StatementOutput::Rows { schema, batches } => {
            let batches = if sort_rows { vec![json::sorted(&schema, &batches)?] } else { batches };
            Event::Result { statement, schema, batches }
        }
        StatementOutput::Done(message) | StatementOutput::Step(message) => Event::Done { statement, message },
        StatementOutput::Query(query) => {
            Event::Done { statement, message: format!("query `{}` started", query.name()) }
        }
    })
}

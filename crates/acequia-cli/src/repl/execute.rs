//! Statements: executed, interrupted, shown; and how a session with queries ends.

use super::activity::plural;
use super::{Flow, Repl};
use crate::diagnostic::Source;
use crate::show;
use acequia::session::RunningQuery;
use acequia::sql::{SourceStatement, Statement, split};
use acequia::{Result, StatementOutput, StreamingQuery, TableLayout, Trigger, format_table};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a query takes to stop before that is explained.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often a run that waits for its queries looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Repl {
    /// Executes the statements of a text, one after the other; one that fails does not keep the others back.
    pub(super) fn statements(&mut self, source: Source<'_>) -> Flow {
        let statements = split(source.text);
        let count = statements.len();
        for (index, statement) in statements.into_iter().enumerate() {
            if self.statement(statement, source) == Flow::Cancelled {
                if index + 1 < count {
                    self.note("the statements after it were left out");
                }
                return Flow::Cancelled;
            }
            if self.screen.is_gone() {
                return Flow::Leave;
            }
        }
        Flow::On
    }

    fn statement(&mut self, source: SourceStatement, text: Source<'_>) -> Flow {
        let begun = Instant::now();
        let statement = match source.parse() {
            Ok(statement) => statement,
            Err(error) => {
                self.fail_at(&error, text);
                return Flow::On;
            }
        };
        let kind = Kind::of(&statement);
        self.activity.begin();
        if kind == (Kind::Select { ends: false }) {
            // What the query is comes before its first batch.
            self.screen.hold();
        }
        let session = self.session.clone();
        let outcome = self.interruptible(async move { session.execute(source.with(statement)).await });
        let (flow, told) = match outcome {
            None => {
                self.after_interrupt("cancelled");
                (Flow::Cancelled, None)
            }
            Some(Err(error)) => {
                self.fail_at(&error, text);
                (Flow::On, None)
            }
            Some(Ok(output)) => self.answer(output, &kind, begun),
        };
        self.screen.direct();
        self.activity.finish(told.as_deref().or(kind.stops()));
        flow
    }

    /// Shows what a statement gave. Also gives the name of a query whose end is told with it.
    fn answer(&mut self, output: StatementOutput, kind: &Kind, begun: Instant) -> (Flow, Option<String>) {
        match output {
            StatementOutput::Rows { schema, batches } => {
                match self.rows(&schema, &batches) {
                    Ok(text) => self.screen.print(&text),
                    Err(error) => self.fail(&error),
                }
                let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
                self.done(&plural(rows, "row", "rows"), begun);
            }
            StatementOutput::Done(text) => self.done(&text, begun),
            StatementOutput::Step(text) => {
                let flow = self.settle();
                self.done(&text, begun);
                return (flow, None);
            }
            StatementOutput::Query(query) => return self.started(&query, kind, begun),
        }
        (Flow::On, None)
    }

    fn rows(&self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
        // One column, a plan or statement perhaps, is as readable as it is.
        if !self.expanded || schema.fields().len() < 2 {
            return show::rows(schema, batches);
        }
        let layout = TableLayout { records: true, width: show::terminal_width(), ..TableLayout::default() };
        format_table(schema, batches, layout)
    }

    fn done(&self, text: &str, begun: Instant) {
        if self.timing {
            self.note(&format!("{text} in {}", shown(begun.elapsed())));
        } else {
            self.note(text);
        }
    }

    /// A note on a line of its own: the terminal has put `^C` on this one.
    fn after_interrupt(&self, text: &str) {
        self.screen.print("\n");
        self.note(text);
    }

    fn started(
        &mut self,
        query: &Arc<StreamingQuery>,
        kind: &Kind,
        begun: Instant,
    ) -> (Flow, Option<String>) {
        let name = query.name();
        if !query.growing_state().is_empty() {
            self.note(&show::growing_state(name, query.growing_state()));
        }
        let running = self.session.queries().into_iter().find(|running| running.handle.name() == name);
        let by_hand = running.is_some_and(|running| self.is_fed_by_hand(&running));
        if self.interactive
            && let Kind::Select { ends } = kind
            && (*ends || !by_hand)
        {
            self.screen.direct();
            return (self.foreground(query, begun), Some(name.to_string()));
        }
        match kind {
            Kind::Select { .. } => self.note(&format!(
                "query `{name}` runs in the background: its batches appear as rows are inserted; STOP QUERY {name} ends it"
            )),
            _ => self.note(&format!("query `{name}` runs in the background; STOP QUERY {name} ends it")),
        }
        self.screen.direct();
        (if by_hand { self.settle() } else { Flow::On }, None)
    }

    /// Waits for a query that holds the prompt; Ctrl-C stops it, a second one does not wait for its batch.
    fn foreground(&mut self, query: &Arc<StreamingQuery>, begun: Instant) -> Flow {
        let (name, interrupts) = (query.name(), &self.interrupts);
        let ended = self.runtime.block_on(async {
            tokio::select! {
                ended = query.await_termination() => return Some(("ended", ended)),
                () = interrupts.next() => {}
            }
            let mut stopping = std::pin::pin!(query.stop());
            if let Ok(stopped) = tokio::time::timeout(PATIENCE, &mut stopping).await {
                return Some(("stopped", stopped));
            }
            self.after_interrupt(&format!(
                "stopping query `{name}` after its batch; Ctrl-C again does not wait"
            ));
            tokio::select! {
                stopped = stopping => Some(("stopped", stopped)),
                () = interrupts.next() => None,
            }
        });
        match ended {
            None => self.after_interrupt(&format!("query `{name}` ends with the batch that runs")),
            Some((_, Err(error))) => self.fail(&error),
            Some((how, Ok(()))) => {
                if how == "stopped" {
                    self.screen.print("\n");
                }
                self.done(&format!("query `{name}` {how}: {}", self.activity.counts(name)), begun);
            }
        }
        Flow::On
    }

    /// Whether the rows of all streams of a query come from INSERTs.
    fn is_fed_by_hand(&self, query: &RunningQuery) -> bool {
        let in_memory = |name: &String| {
            self.session.catalog().find_stream(name).is_some_and(|stream| stream.memory().is_some())
        };
        !query.streams.is_empty() && query.streams.iter().all(in_memory)
    }

    fn fed_by_hand(&self) -> Vec<Arc<RunningQuery>> {
        self.session.active_queries().into_iter().filter(|query| self.is_fed_by_hand(query)).collect()
    }

    /// Waits until the queries that live on INSERTs are idle. Others may never rest.
    fn settle(&mut self) -> Flow {
        let queries = self.fed_by_hand();
        let settled = self.interruptible(async move {
            for query in queries {
                // One that fails tells so by itself.
                let _ = query.handle.process_all_available().await;
            }
        });
        if settled.is_some() { Flow::On } else { Flow::Cancelled }
    }

    /// Runs something beside the main thread; `None` after Ctrl-C.
    pub(super) fn interruptible<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.runtime.block_on(async {
            let mut task = tokio::spawn(work);
            tokio::select! {
                // A panic has been printed; the prompt goes on.
                done = &mut task => done.ok(),
                () = self.interrupts.next() => {
                    task.abort();
                    None
                }
            }
        })
    }

    /// The end of the session: queries finish their batches and commit them.
    pub(super) fn leave(&mut self) {
        if !self.interactive {
            self.wait_for_queries();
        }
        let running = self.session.active_queries();
        if !running.is_empty() {
            let names: Vec<_> = running.iter().map(|query| format!("`{}`", query.handle.name())).collect();
            let what = if names.len() == 1 { "query" } else { "queries" };
            self.note(&format!("stopping {what} {}; Ctrl-C leaves without waiting", names.join(", ")));
        }
        let session = self.session.clone();
        // The error of a query that had failed has been told.
        self.interruptible(async move { session.stop_all().await.is_ok() });
    }

    /// Waits until every query has ended, or one has failed; those that live on INSERTs get no more of them.
    fn wait_for_queries(&mut self) {
        self.settle();
        let by_hand = self.fed_by_hand();
        self.runtime.block_on(async {
            for query in by_hand {
                // One that has failed has told so by itself.
                let _ = query.handle.stop().await;
            }
            let running = || !self.session.active_queries().is_empty();
            while running() && !self.activity.has_failed() && !self.screen.is_gone() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }
}

/// What has to be known of a statement once it has been executed.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A query whose rows are shown; whether its trigger says that it ends.
    Select {
        ends: bool,
    },
    /// STOP QUERY.
    Stop(String),
    Other,
}

impl Kind {
    fn of(statement: &Statement) -> Self {
        match statement {
            Statement::Query(query) => {
                let trigger = query.trigger.as_ref().map(|(trigger, _)| trigger);
                Self::Select { ends: matches!(trigger, Some(Trigger::AvailableNow | Trigger::Once)) }
            }
            Statement::StopQuery { name, .. } => Self::Stop(name.clone()),
            _ => Self::Other,
        }
    }

    /// The query whose end the statement tells.
    fn stops(&self) -> Option<&str> {
        if let Self::Stop(name) = self { Some(name) } else { None }
    }
}

/// A time as people say it.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        _ if seconds < 60.0 => format!("{seconds:.2} s"),
        _ => format!("{} min {:.0} s", time.as_secs() / 60, seconds % 60.0),
    }
}

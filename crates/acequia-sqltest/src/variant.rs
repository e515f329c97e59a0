//! One run of a file, its rows cut into micro-batches in one way.
//!
//! | variant | rows | shards | queries |
//! |---|---|---|---|
//! | as written | as the statements hand them over | 1 | run through |
//! | row by row | one micro-batch each | 1 | run through |
//! | all at once | all up to the next statement of another kind are one micro-batch | 1 | run through |
//! | four shards | as written | 4 | run through |
//! | restarts | as written | another number with every restart | each that can go on from a checkpoint is stopped after every step, and goes on from it |
//!
//! The golden output holds for the first alone, since watermarks move batch by batch and rows of a batch come shard by
//! shard. In each of them the oracle checks every query whenever all are idle. A file that sets `acequia.shards` has
//! that many shards in all of them, until its next restart.
//!
//! Time stands still and moves on by a second with every statement that hands over rows, so that `now()` and sources
//! that go by the clock are the same in every run.

use crate::directives::Directives;
use crate::event::Event;
use crate::oracle::{Fold, Oracle};
use crate::script::{Script, ScriptOptions};
use acequia::sql::{ParsedStatement, SourceStatement, Statement, split};
use acequia::{NoConsole, Result, RetryPolicy, Session, Shards, StepSplit};
use acequia_core::{ManualClock, Options, Timestamp};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When every run begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// How much time passes with every hand-over of rows.
pub const TICK: Duration = Duration::from_secs(1);

/// How many shards queries have after each restart, over and over; before the first it is one.
const SHARDS: [usize; 4] = [4, 2, 1, 7];

/// A way to run a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As its statements say.
    AsWritten,
    /// Every row is a micro-batch.
    RowByRow,
    /// Rows between two statements of another kind are one micro-batch.
    AllAtOnce,
    /// As written, each operator in four shards.
    FourShards,
    /// Queries are stopped after every step and go on from their checkpoint, in another number of shards.
    Restarts,
}

impl Variant {
    /// Every variant, the one as written first.
    pub const ALL: [Self; 5] =
        [Self::AsWritten, Self::RowByRow, Self::AllAtOnce, Self::FourShards, Self::Restarts];

    /// Its name, in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsWritten => "as written",
            Self::RowByRow => "row by row",
            Self::AllAtOnce => "all at once",
            Self::FourShards => "four shards",
            Self::Restarts => "restarts",
        }
    }

    fn split(self) -> StepSplit {
        match self {
            Self::RowByRow => StepSplit::RowByRow,
            Self::AllAtOnce => StepSplit::Held,
            Self::AsWritten | Self::FourShards | Self::Restarts => StepSplit::AsGiven,
        }
    }

    fn shards(self) -> Result<Shards> {
        Shards::new(if self == Self::FourShards { 4 } else { 1 })
    }
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Statements as comments, and the lines of the machine-readable output, durations left out.
    pub text: String,
    /// How many comparisons with the batch answer were made.
    pub checks: usize,
    /// What each query gave that was compared, in the order in which they were started.
    pub folds: Vec<Fold>,
}

/// Runs the statements of a text. `scratch` is an empty directory, for checkpoints.
///
/// # Errors
/// The first error that the text does not expect, or the first difference from the batch answer, naming query and
/// statement.
pub async fn run(text: &str, scratch: &Path, variant: Variant) -> Result<Transcript> {
    let clock = ManualClock::at(START);
    let builder = Session::builder()
        .clock(Arc::new(clock.clone()))
        // What `console` sinks get is in the transcript.
        .console(Arc::new(NoConsole))
        // A file that fails says so at once.
        .retry(RetryPolicy::NEVER)
        .step_split(variant.split())
        .shards(variant.shards()?);
    let script = Script::new(builder, ScriptOptions { step: true })?;
    let oracle = Oracle::new(script.session(), Arc::new(clock.clone()))?;
    let restarts = (variant == Variant::Restarts).then(|| Restarts::new(scratch));
    let mut run = FileRun {
        script,
        clock,
        variant,
        oracle,
        restarts,
        in_transaction: false,
        transcript: Transcript::default(),
    };
    let ran = run.statements(text).await;
    let stopped = run.script.stop(&mut |_| Ok(())).await;
    ran.and(stopped)?;
    Ok(Transcript { checks: run.oracle.checks(), folds: run.oracle.folds(), ..run.transcript })
}

struct FileRun {
    script: Script,
    clock: ManualClock,
    variant: Variant,
    oracle: Oracle,
    restarts: Option<Restarts>,
    in_transaction: bool,
    transcript: Transcript,
}

impl FileRun {
    async fn statements(&mut self, text: &str) -> Result<()> {
        for source in split(text) {
            let number = source.number;
            let ran = self.statement(source).await;
            ran.map_err(|e| e.context(format!("statement {number}")))?;
        }
        self.release().await.map_err(|e| e.context("at the end"))
    }

    async fn statement(&mut self, source: SourceStatement) -> Result<()> {
        let directives = Directives::of(&source.leading_comments)?;
        let number = source.number;
        self.transcript.head(&source);
        let mut statement = source.parse().map(|statement| source.with(statement));
        let session = self.script.session();
        let hands_over = statement.as_ref().is_ok_and(|s| session.hands_over(&s.statement));
        if hands_over {
            self.tick().await?;
        } else {
            self.release().await?;
        }
        let step = self.is_step(&statement);
        let mut restartable = None;
        if let (Some(restarts), Ok(parsed)) = (&mut self.restarts, &mut statement)
            && directives.error.is_none()
            && self.script.session().starts_query(&parsed.statement).await
        {
            restartable = Some(restarts.with_checkpoint(parsed)?);
        }
        let mut events = vec![];
        let before = run_ids(self.script.session());
        let ran = self.script.execute(number, statement, &directives, &mut collect(&mut events)).await;
        self.take(events, directives.oracle_off)?;
        ran?;
        if let (Some(restarts), Some(statement)) = (&mut self.restarts, restartable) {
            restarts.track(self.script.session(), &before, statement)?;
        }
        if step && self.restarts.is_some() {
            self.restart().await?;
        }
        self.oracle.check().await
    }

    /// Lets time pass, and what it brings about happen before the rows come.
    async fn tick(&mut self) -> Result<()> {
        self.clock.advance(TICK);
        self.settle().await
    }

    /// Whether the statement ends a step. A transaction is one, when it is committed.
    fn is_step(&mut self, statement: &Result<ParsedStatement>) -> bool {
        match statement.as_ref().map(|s| &s.statement) {
            Ok(Statement::Begin) => {
                self.in_transaction = true;
                false
            }
            Ok(Statement::Commit | Statement::Rollback) => std::mem::replace(&mut self.in_transaction, false),
            Ok(statement) => !self.in_transaction && self.script.session().hands_over(statement),
            Err(_) => false,
        }
    }

    /// Hands over rows that were held back, and waits until they are processed.
    async fn release(&mut self) -> Result<()> {
        if self.variant != Variant::AllAtOnce {
            return Ok(());
        }
        self.script.session().release_steps()?;
        self.settle().await?;
        self.oracle.check().await
    }

    async fn restart(&mut self) -> Result<()> {
        let Some(restarts) = &mut self.restarts else { return Ok(()) };
        restarts.restart(self.script.session()).await?;
        self.settle().await
    }

    /// Waits until every query is idle, and takes what they did.
    async fn settle(&mut self) -> Result<()> {
        let mut events = vec![];
        let settled = self.script.settle(&mut collect(&mut events)).await;
        self.take(events, None)?;
        settled
    }

    fn take(&mut self, events: Vec<Event>, oracle_off: Option<String>) -> Result<()> {
        self.oracle.track(self.script.session(), oracle_off.as_deref());
        for event in events {
            self.transcript.event(&event)?;
            self.oracle.take(event)?;
        }
        Ok(())
    }
}

fn collect(events: &mut Vec<Event>) -> impl FnMut(Event) -> Result<()> {
    |event| {
        events.push(event);
        Ok(())
    }
}

fn run_ids(session: &Session) -> HashSet<String> {
    session.queries().iter().map(|query| query.handle.run_id().to_string()).collect()
}

impl Transcript {
    fn head(&mut self, source: &SourceStatement) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        for (index, line) in source.text.lines().enumerate() {
            let number = if index == 0 { format!("{}: ", source.number) } else { String::new() };
            self.text += format!("-- {number}{line}").trim_end();
            self.text.push('\n');
        }
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        if let Some(mut line) = event.to_json()? {
            if let Some(object) = line.as_object_mut() {
                object.shift_remove("durationMs");
            }
            self.text += &format!("{line}\n");
        }
        Ok(())
    }
}

/// The queries that are stopped and started again after every step.
struct Restarts {
    checkpoints: std::path::PathBuf,
    started: usize,
    restarted: usize,
    statements: IndexMap<String, ParsedStatement>,
}

impl Restarts {
    fn new(scratch: &Path) -> Self {
        Self {
            checkpoints: scratch.join("checkpoints"),
            started: 0,
            restarted: 0,
            statements: IndexMap::new(),
        }
    }

    /// Gives the query of the statement a checkpoint, if it has none; returns the statement as it is then.
    fn with_checkpoint(&mut self, parsed: &mut ParsedStatement) -> Result<ParsedStatement> {
        self.started += 1;
        let place = self.checkpoints.join(self.started.to_string());
        if let Some(options) = options(&mut parsed.statement)
            && !options.contains("checkpoint")
        {
            options.insert("checkpoint", place.display().to_string())?;
        }
        Ok(parsed.clone())
    }

    /// Remembers what started a query, with the query's name in it.
    fn track(
        &mut self,
        session: &Session,
        before: &HashSet<String>,
        statement: ParsedStatement,
    ) -> Result<()> {
        let mut statement = statement;
        for query in session.queries().iter().filter(|query| !before.contains(query.handle.run_id())) {
            let name = query.handle.name();
            if let Some(options) = options(&mut statement.statement)
                && !options.contains("name")
            {
                options.insert("name", name)?;
            }
            self.statements.insert(name.to_string(), statement.clone());
        }
        Ok(())
    }

    async fn restart(&mut self, session: &Session) -> Result<()> {
        let shards = SHARDS[self.restarted % SHARDS.len()];
        self.restarted += 1;
        session.sql(&format!("SET acequia.shards = {shards}")).await?;
        for query in session.active_queries() {
            let name = query.handle.name();
            let Some(statement) = self.statements.get(name) else { continue };
            let stop = Statement::StopQuery { name: name.to_string(), if_exists: false };
            session.execute(ParsedStatement { statement: stop, ..statement.clone() }).await?;
            let started = session.execute(statement.clone()).await;
            started.map_err(|e| e.context(format!("restart of query `{name}`")))?;
        }
        Ok(())
    }
}

fn options(statement: &mut Statement) -> Option<&mut Options> {
    match statement {
        Statement::Query(query) => Some(&mut query.options),
        Statement::Insert(insert) => Some(&mut insert.query.options),
        _ => None,
    }
}

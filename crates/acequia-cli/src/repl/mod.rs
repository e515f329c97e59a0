//! The prompt: `acequia` without a subcommand.
//!
//! ```text
//! terminal (rustyline) or pipe -> input (lines to items) -> commands | execute (statements)
//!                                                              screen  <- results, errors, batches of queries
//! ```
//! The editor runs on the main thread, statements on a runtime beside it, so that Ctrl-C can interrupt either. A
//! continuous SELECT holds the prompt until it ends or Ctrl-C stops it. One that reads only in-memory streams runs in
//! the background, for its rows come from INSERTs that have yet to be typed; each INSERT waits until such queries are
//! idle, so that their batches appear right below it. Every other continuous query runs in the background too.
//!
//! In a pipe no query holds up the statements after it; at the end of the input the process waits for its queries as
//! `acequia run` does, and stops those that read only in-memory streams once they are idle.

mod activity;
mod commands;
mod complete;
mod context;
mod execute;
mod help;
mod helper;
mod history;
mod input;
mod screen;
mod signals;
mod terminal;
mod words;

use crate::diagnostic::{self, Source};
use crate::environment::wants_colour;
use acequia::{Error, Result, Session};
use activity::Activity;
use input::{Input, Item};
use screen::Screen;
use signals::{Ending, Interrupts};
use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Threads beside those of the queries.
const THREADS: usize = 2;

/// What comes after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// The next one.
    On,
    /// Nothing more of this input: Ctrl-C.
    Cancelled,
    /// The end of the session.
    Leave,
}

/// A session with someone, or something, who types.
struct Repl {
    session: Session,
    runtime: Runtime,
    screen: Arc<Screen>,
    activity: Arc<Activity>,
    interrupts: Interrupts,
    interactive: bool,
    timing: bool,
    expanded: bool,
    /// How many files deep the input is.
    depth: usize,
    /// Whether a statement or command has failed.
    failed: bool,
}

/// Runs the prompt until it is left.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            diagnostic::print(&error, Source { text: "", first_line: 1, file: None });
            ExitCode::from(1)
        }
    }
}

fn run() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(|e| Error::from(e).context("start"))?;
    let interactive = screen::is_interactive();
    let screen = Screen::new(interactive && wants_colour());
    let activity = Activity::new(Arc::clone(&screen), interactive);
    let session =
        Session::builder().console(Arc::<Screen>::clone(&screen)).listener(Arc::<Activity>::clone(&activity));
    let session = session.build()?;
    let interrupts = {
        let _inside = runtime.enter();
        let (screen, activity) = (Arc::clone(&screen), Arc::clone(&activity));
        Ending { session: session.clone(), screen, activity, interactive }.listen()?
    };
    let timing = interactive;
    let mut repl = Repl {
        session,
        runtime,
        screen,
        activity,
        interrupts,
        interactive,
        timing,
        expanded: false,
        depth: 0,
        failed: false,
    };
    if interactive {
        terminal::run(&mut repl)?
    } else {
        repl.piped()?
    }
    repl.leave();
    let failed = !interactive && (repl.failed || repl.activity.has_failed());
    // A statement that was interrupted may still hold a thread.
    repl.runtime.shutdown_background();
    Ok(ExitCode::from(u8::from(failed)))
}

impl Repl {
    /// Does what standard input says.
    fn piped(&mut self) -> Result<()> {
        let mut input = Input::default();
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|e| Error::from(e).context("standard input"))?;
            if let Some(item) = input.push(&line)
                && (self.perform(item, None) == Flow::Leave || self.screen.is_gone())
            {
                return Ok(());
            }
        }
        if let Some(item) = input.finish() {
            self.perform(item, None);
        }
        if self.session.in_transaction() {
            self.fail(&Error::invalid(
                "BEGIN without COMMIT: the rows inserted after it were handed to no stream",
            ));
        }
        Ok(())
    }

    /// Does one item; `file` is where it comes from, if from one.
    fn perform(&mut self, item: Item, file: Option<&str>) -> Flow {
        match item {
            Item::Command(text) => self.command(&text),
            Item::Statements { text, first_line } => {
                self.statements(Source { text: &text, first_line, file })
            }
        }
    }

    /// Tells an error that is about no place in a text.
    fn fail(&mut self, error: &Error) {
        self.fail_at(error, Source { text: "", first_line: 1, file: None });
    }

    fn fail_at(&mut self, error: &Error, source: Source<'_>) {
        self.failed = true;
        self.screen.error(&diagnostic::render(error, source, self.screen.style()));
    }

    /// Tells something about the session rather than an answer.
    fn note(&self, text: &str) {
        if self.interactive {
            self.screen.print(&format!("{}\n", self.screen.paint("2", text)));
        }
    }
}

//! `acequia run FILE.sql`.

use crate::diagnostic::{self, Source};
use crate::show;
use crate::signals::StopSignals;
use crate::status::Status;
use acequia::{Error, NoConsole, Result, Session, SessionBuilder};
use acequia_sqltest::{Event, Script, ScriptOptions};
use clap::{Args, ValueEnum};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What the run prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Tables for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  acequia run examples/nexmark.sql              run until the queries end, or Ctrl-C
  acequia run test.sql --step --format json     deterministic, machine-readable
  echo 'SELECT 1' | acequia run -               statements from standard input

Ctrl-C, SIGTERM and a reader that goes away (`| head`) finish the batches that run, commit them, and
exit with 0; a second Ctrl-C ends at once.
Exit status: 0, or 1 after an error that the file does not expect (`-- error: text`).")]
pub(crate) struct Run {
    /// The file; `-` for standard input.
    file: PathBuf,
    /// Wait after each statement until every query is idle, and stop the queries at the end.
    #[arg(long)]
    step: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl Run {
    /// Runs the file.
    pub(crate) fn main(self) -> ExitCode {
        let mut reported = false;
        match self.run(&mut reported) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // An error of a statement is told already: where the text is at hand.
                if !reported {
                    diagnostic::print(&error, Source { text: "", first_line: 1, file: None });
                }
                ExitCode::from(1)
            }
        }
    }

    fn run(&self, reported: &mut bool) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|e| Error::from(e).context("start"))?;
        runtime.block_on(async {
            let text = self.text()?;
            let mut signals = StopSignals::listen()?;
            let status = Arc::new(Status::new());
            let script = Script::new(self.session(&status), ScriptOptions { step: self.step })?;
            let session = script.session();
            let mut emit = |event: Event| {
                follow(&status, session, &event);
                if let Event::Error { expected: false, error, .. } = &event {
                    *reported = true;
                    if matches!(self.format, Format::Text) {
                        let file = self.file.to_str().filter(|file| *file != "-");
                        status.above(|| diagnostic::print(error, Source { text: &text, first_line: 1, file }));
                    }
                }
                print_event(&status, self.format, &event)
            };
            let ran = tokio::select! {
                ran = async {
                    script.run(&text, &mut emit).await?;
                    script.finish(&mut emit).await
                } => ran,
                () = signals.next() => {
                    if !session.active_queries().is_empty() {
                        status.tell("stopping after the batches that run; Ctrl-C again ends at once");
                    }
                    Ok(())
                }
                () = status.unread() => Ok(()),
            };
            let stopped = tokio::select! {
                stopped = script.stop(&mut emit) => stopped,
                () = signals.next() => Err(Error::cancelled(
                    "ended in the middle of a batch; what was committed stays, and the batch runs again next time",
                )),
            };
            status.end();
            ran.and(stopped)
        })
    }

    fn text(&self) -> Result<String> {
        let read = if self.file.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(&self.file)
        };
        read.map_err(|e| Error::from(e).context(format!("read `{}`", self.file.display())))
    }

    /// Console sinks print tables for people only: their rows are lines of JSON otherwise.
    fn session(&self, status: &Arc<Status>) -> SessionBuilder {
        match self.format {
            Format::Text => Session::builder().console(Arc::clone(status) as _),
            Format::Json => Session::builder().console(Arc::new(NoConsole)),
        }
    }
}

/// Keeps the lines of the queries as they are.
fn follow(status: &Status, session: &Session, event: &Event) {
    if !status.visible() {
        return;
    }
    for query in session.queries() {
        status.show(query.handle.name(), query.handle.is_active());
    }
    if let Event::Progress(progress) = event {
        status.progress(progress);
    }
}

fn print_event(status: &Status, format: Format, event: &Event) -> Result<()> {
    if let Event::Retry { query, message, wait } = event {
        status.warn(&format!("query `{query}` tries again in {wait:?}: {message}"));
        return Ok(());
    }
    if let Event::StateGrows { query, why } = event {
        status.warn(&show::growing_state(query, why));
        return Ok(());
    }
    let text = match format {
        Format::Json => match event.to_json()? {
            Some(line) => format!("{line}\n"),
            None => return Ok(()),
        },
        Format::Text => match event {
            Event::Result { schema, batches, .. } => show::rows(schema, batches)?,
            Event::Error { error, expected: true, .. } => format!("error, as expected: {error}\n"),
            _ => return Ok(()),
        },
    };
    status.print(&text)
}

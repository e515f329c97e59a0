//! The `acequia` command.

mod completions;
mod diagnostic;
mod environment;
mod repl;
mod run;
mod secrets;
mod show;
mod signals;
mod status;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Batches allocate and free the same large buffers over and over, which this one keeps instead of giving them back to
/// the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Streaming SQL over Arrow: micro-batches, event time, state, exactly-once output.
///
/// Without a subcommand it is a prompt for SQL.
#[derive(Debug, Parser)]
#[command(name = "acequia", version, about)]
#[command(after_help = "Examples:
  acequia                                     a prompt: \\? for help, \\q to leave
  echo 'SELECT 1;' | acequia                  statements and commands from a pipe
  acequia run examples/nexmark.sql            a file, until its queries end or Ctrl-C

At the prompt a continuous SELECT shows every batch until Ctrl-C, which stops the
query and not the prompt; over in-memory streams it runs in the background.
Entered statements are kept in $XDG_STATE_HOME/acequia/history
(~/.local/state/...), or in the file that ACEQUIA_HISTORY names; those with a
password, token or key in their options are not.

In a pipe there is no prompt, colour or timing; results go to standard output,
errors to standard error. A statement that fails does not keep the next ones
back, and the exit status is 1 at the end. Queries do not hold up the statements
after them. At the end of the input those that read only in-memory streams are
stopped once they are idle, and the others are waited for; Ctrl-C and SIGTERM
finish their batches and commit them. Directives of test files
(`-- error: text`) are comments here.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the statements of a .sql file, then waits for its continuous queries.
    Run(run::Run),
    /// Runs .sql files against their golden output and the batch oracle.
    Test(test::Test),
    /// Prints the completions of a shell.
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Run(run)) => run.main(),
        Some(Command::Test(test)) => test.main(),
        Some(Command::Completions(completions)) => completions.main(),
        None => repl::main(),
    }
}

//! The `acequia` command.

mod completions;
mod run;
mod show;
mod signals;
mod status;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Streaming SQL over Arrow: micro-batches, event time, state, exactly-once output.
#[derive(Debug, Parser)]
#[command(name = "acequia", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
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
        Command::Run(run) => run.main(),
        Command::Test(test) => test.main(),
        Command::Completions(completions) => completions.main(),
    }
}

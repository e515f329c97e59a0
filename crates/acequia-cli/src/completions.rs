//! `acequia completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use std::io::Write;
use std::process::ExitCode;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(acequia completions bash)                                in this shell, or in ~/.bashrc
  acequia completions zsh > \"${fpath[1]}/_acequia\"                  for zsh, once
  acequia completions fish > ~/.config/fish/completions/acequia.fish")]
pub(crate) struct Completions {
    /// The shell that is to complete commands, options and file names.
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(crate) fn main(self) -> ExitCode {
        let mut script = vec![];
        generate(self.shell, &mut crate::Cli::command(), "acequia", &mut script);
        // A reader that has gone away (`| head`) has what it wanted.
        let _ = std::io::stdout().write_all(&script);
        ExitCode::SUCCESS
    }
}

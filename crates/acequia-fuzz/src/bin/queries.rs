//! Random queries against batch: `queries [COUNT [FIRST_SEED]]`, or `queries show SEED` for the file of a seed.

use acequia_fuzz::queries::{Case, check};
use std::io::Write;
use std::process::ExitCode;

/// How many queries are run unless told.
const COUNT: u64 = 10_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| words.get(at).map_or(Some(default), |word| word.parse().ok());
    if words.first().is_some_and(|word| word == "show") {
        let Some(seed) = number(1, 0) else { return usage() };
        let case = Case::of(seed);
        say(&format!("{}{}", case.setting(), case.sql()));
        return ExitCode::SUCCESS;
    }
    let (Some(count), Some(first)) = (number(0, COUNT), number(1, 0)) else { return usage() };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = check(first..first.saturating_add(count), jobs, |seed, file| {
        say(&format!("-- seed {seed}\n{file}\n"));
    });
    say(&format!("{summary}"));
    if summary.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    say("queries [COUNT [FIRST_SEED]] | queries show SEED\n");
    ExitCode::FAILURE
}

fn say(text: &str) {
    // Nobody reads any more.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

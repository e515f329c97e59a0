//! Commands: lines that begin with `\`.

use super::input::{Input, Item};
use super::{Flow, Repl, help};
use crate::diagnostic::Source;
use crate::show;
use acequia::{Error, Result, StatementOutput};
use acequia_core::options::unknown;
use arrow::array::RecordBatch;

/// A command as help and completion know it.
pub(super) struct CommandHelp {
    pub(super) name: &'static str,
    pub(super) arguments: &'static str,
    pub(super) what: &'static str,
}

const fn command(name: &'static str, arguments: &'static str, what: &'static str) -> CommandHelp {
    CommandHelp { name, arguments, what }
}

/// Every command.
pub(super) const COMMANDS: &[CommandHelp] = &[
    command("\\?", "", "this help"),
    command("\\h", "[TOPIC]", "help on a statement, on windows, on connectors ..."),
    command("\\d", "[NAME]", "streams, sinks, tables and queries; or the columns of one"),
    command("\\i", "FILE", "run the statements and commands of a file"),
    command("\\timing", "[on|off]", "whether times are shown"),
    command("\\x", "[on|off]", "results one column a line"),
    command("\\q", "", "leave; so do exit, quit and Ctrl-D"),
];

/// The statements behind `\d`, each with what it lists.
const LISTS: [(&str, &str); 4] = [
    ("Streams", "SHOW STREAMS"),
    ("Sinks", "SHOW SINKS"),
    ("Tables", "SHOW TABLES"),
    ("Queries", "SHOW QUERIES"),
];

/// Files that read each other may not be deeper than this.
const DEPTH: usize = 16;

impl Repl {
    /// Does a command.
    pub(super) fn command(&mut self, text: &str) -> Flow {
        let text = text.trim().trim_end_matches(';').trim_end();
        let (name, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let argument = argument.trim();
        let done = match name.to_ascii_lowercase().as_str() {
            "\\q" | "exit" | "quit" => return Flow::Leave,
            "\\i" => return self.include(argument),
            "\\d" => return self.describe(argument),
            "\\?" | "\\h" | "help" => help::text(argument).map(|text| self.screen.print(&text)),
            "\\timing" => switch("timing", argument, self.timing).map(|on| {
                self.timing = on;
                self.note(if on { "times are shown" } else { "times are not shown" });
            }),
            "\\x" => switch("x", argument, self.expanded).map(|on| {
                self.expanded = on;
                self.note(if on { "results one column a line" } else { "results as tables" });
            }),
            _ => Err(unknown("command", name, COMMANDS.iter().map(|command| command.name))),
        };
        if let Err(error) = done {
            self.fail(&error);
        }
        Flow::On
    }

    fn describe(&mut self, name: &str) -> Flow {
        let of = |text| Source { text, first_line: 1, file: None };
        if !name.is_empty() {
            return self.statements(of(&format!("DESCRIBE {name}")));
        }
        let mut empty = true;
        for (title, statement) in LISTS {
            let session = self.session.clone();
            let Some(listed) = self.interruptible(async move { session.sql(statement).await }) else {
                return Flow::Cancelled;
            };
            match listed.and_then(|outputs| self.list(title, outputs)) {
                Ok(rows) => empty &= rows == 0,
                Err(error) => self.fail(&error),
            }
        }
        if empty {
            self.note("nothing has been created yet; \\h shows how to start");
        }
        Flow::On
    }

    /// Prints a list under its title unless it is empty; gives the number of its rows.
    fn list(&self, title: &str, outputs: Vec<StatementOutput>) -> Result<usize> {
        let mut count = 0;
        for output in outputs {
            if let StatementOutput::Rows { schema, batches } = output {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                if rows > 0 {
                    let table = show::rows(&schema, &batches)?;
                    self.screen.print(&format!("{}\n{table}", self.screen.paint("1", title)));
                }
                count += rows;
            }
        }
        Ok(count)
    }

    fn include(&mut self, file: &str) -> Flow {
        let file = file.trim_matches(['\'', '"']);
        if self.depth == DEPTH {
            self.fail(&Error::invalid(format!("files that read each other: `{file}`, {DEPTH} deep")));
            return Flow::On;
        }
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                self.fail(&error);
                return Flow::On;
            }
        };
        self.depth += 1;
        let mut input = Input::default();
        let mut flow = Flow::On;
        for line in text.lines() {
            if let Some(item) = input.push(line) {
                flow = self.perform(item, Some(file));
                if flow != Flow::On {
                    break;
                }
            }
        }
        if flow == Flow::On
            && let Some(item @ Item::Statements { .. }) = input.finish()
        {
            flow = self.perform(item, Some(file));
        }
        self.depth -= 1;
        flow
    }
}

fn read(file: &str) -> Result<String> {
    if file.is_empty() {
        return Err(Error::invalid("\\i needs a file; write \\i FILE"));
    }
    std::fs::read_to_string(file).map_err(|e| Error::from(e).context(format!("read `{file}`")))
}

/// `on`, `off`, or the other way round.
fn switch(name: &str, argument: &str, now: bool) -> Result<bool> {
    match argument.to_ascii_lowercase().as_str() {
        "" => Ok(!now),
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Error::invalid(format!("\\{name} takes on or off: `{argument}`"))),
    }
}

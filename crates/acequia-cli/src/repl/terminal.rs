//! The loop of lines that are typed or pasted into a terminal.

use super::complete::Completer;
use super::helper::PromptHelper;
use super::history;
use super::input::{Input, Item};
use super::{Flow, Repl};
use crate::secrets;
use acequia::{Error, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::path::{Path, PathBuf};

const PROMPT: &str = "acequia> ";
const CONTINUED: &str = "     -> ";
/// Entries that the history keeps.
const ENTRIES: usize = 2000;

type LineEditor = Editor<PromptHelper, FileHistory>;

/// Reads lines until the session is left.
pub(super) fn run(repl: &mut Repl) -> Result<()> {
    let mut editor = editor(repl).map_err(failed)?;
    if let Ok(printer) = editor.create_external_printer() {
        repl.screen.attach(printer);
    }
    let file = open_history(&mut editor);
    let version = env!("CARGO_PKG_VERSION");
    repl.screen.print(&format!("Acequia {version}: streaming SQL. \\? for help, \\q to leave.\n"));
    let mut input = Input::default();
    loop {
        let prompt = if input.open().is_empty() { PROMPT } else { CONTINUED };
        if let Some(helper) = editor.helper_mut() {
            helper.begin(input.open());
        }
        repl.interrupts.forget();
        repl.screen.prompt();
        let styled = (prompt, repl.screen.paint("36", prompt));
        let line = editor.readline(&styled);
        repl.screen.direct();
        match line {
            Ok(text) => {
                if entered(repl, &mut editor, file.as_deref(), &mut input, &text) == Flow::Leave {
                    return Ok(());
                }
            }
            Err(ReadlineError::Interrupted) => {
                let typed = editor.helper().is_some_and(PromptHelper::typed);
                if input.open().is_empty() && !typed {
                    repl.note("\\q or Ctrl-D leaves");
                }
                input.clear();
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}

/// What was entered at once: a line, or all lines of a paste.
fn entered(
    repl: &mut Repl,
    editor: &mut LineEditor,
    file: Option<&Path>,
    input: &mut Input,
    text: &str,
) -> Flow {
    for line in text.split('\n') {
        let Some(item) = input.push(line.trim_end_matches('\r')) else { continue };
        let item = match item {
            // Lines are counted from the statement's own first one: the screen shows no others.
            Item::Statements { text, .. } => Item::Statements { text, first_line: 1 },
            command => command,
        };
        remember(editor, file, &item);
        match repl.perform(item, None) {
            Flow::On => {}
            Flow::Leave => return Flow::Leave,
            Flow::Cancelled => {
                input.clear();
                return Flow::Cancelled;
            }
        }
    }
    Flow::On
}

fn editor(repl: &Repl) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(ENTRIES)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .tab_stop(4)
        .build();
    let mut editor = Editor::with_config(config)?;
    let completer = Completer::new(repl.session.clone(), repl.runtime.handle().clone());
    editor.set_helper(Some(PromptHelper::new(completer)));
    Ok(editor)
}

fn open_history(editor: &mut LineEditor) -> Option<PathBuf> {
    let file = history::file()?;
    if let Some(directory) = file.parent() {
        // Without a directory the history is that of this session only.
        let _ = std::fs::create_dir_all(directory);
    }
    // There is none the first time.
    let _ = editor.load_history(&file);
    Some(file)
}

/// Adds an item to the history and its file at once: a session that is killed has lost none. What holds a secret
/// is not added, nor is what only leaves.
fn remember(editor: &mut LineEditor, file: Option<&Path>, item: &Item) {
    let (Item::Command(text) | Item::Statements { text, .. }) = item;
    let text = text.trim();
    let leaves = ["\\q", "exit", "quit"].contains(&text.trim_end_matches(';'));
    if text.is_empty() || leaves || secrets::any_in(text) {
        return;
    }
    if editor.add_history_entry(text).unwrap_or(false)
        && let Some(file) = file
    {
        // A history that cannot be written is no reason to disturb.
        let _ = editor.append_history(file);
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::unavailable(error.to_string()).context("terminal")
}

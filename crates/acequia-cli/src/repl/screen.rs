//! The one way to the terminal: results, errors, and what queries in the background print.
//!
//! While a line is edited, what queries print goes above it: a thread hands it to the editor, which redraws its line.
//! Otherwise it is written at once. A query that prints faster than the editor takes it waits ([`WAITING`]), but only
//! while a line is edited: who stops a query never waits for one that waits for the screen.

use crate::diagnostic::Style;
use crate::show;
use acequia::ConsoleOut;
use parking_lot::{Condvar, Mutex};
use rustyline::ExternalPrinter;
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

/// Texts that wait for the editor at most.
const WAITING: usize = 8;

/// See the module.
pub(super) struct Screen {
    state: Mutex<State>,
    changed: Condvar,
    colour: bool,
}

struct State {
    mode: Mode,
    /// Whether there is an editor to hand texts to.
    edited: bool,
    waiting: VecDeque<String>,
    /// Whether nobody reads standard output any more.
    gone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No line is edited: texts are written at once.
    Direct,
    /// A statement has yet to say what it is before its batches appear: texts wait.
    Held,
    /// A line is edited: texts go above it.
    Prompt,
}

impl Screen {
    /// A screen on standard output.
    pub(super) fn new(colour: bool) -> Arc<Self> {
        let state = State { mode: Mode::Direct, edited: false, waiting: VecDeque::new(), gone: false };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), colour })
    }

    /// How text is to look now.
    pub(super) fn style(&self) -> Style {
        Style { colour: self.colour, width: show::terminal_width() }
    }

    /// Text in this colour, if colours are wanted.
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Gives what is printed while a line is edited to the editor.
    pub(super) fn attach(self: &Arc<Self>, mut printer: impl ExternalPrinter + Send + 'static) {
        self.state.lock().edited = true;
        let screen = Arc::clone(self);
        std::thread::spawn(move || {
            loop {
                let text = screen.next();
                if printer.print(text).is_err() {
                    // The editor is gone, and the process about to be.
                    return;
                }
            }
        });
    }

    /// The next text, once there is one and a line is edited. One at a time: what the editor has taken, but not yet
    /// shown when its line is entered, appears with its next line only.
    fn next(&self) -> String {
        let mut state = self.state.lock();
        loop {
            if state.mode == Mode::Prompt
                && let Some(text) = state.waiting.pop_front()
            {
                self.changed.notify_all();
                return text;
            }
            self.changed.wait(&mut state);
        }
    }

    /// A line is about to be edited.
    pub(super) fn prompt(&self) {
        let mut state = self.state.lock();
        if state.edited {
            state.mode = Mode::Prompt;
        }
        self.changed.notify_all();
    }

    /// Queries print when [`Screen::direct`] says so.
    pub(super) fn hold(&self) {
        self.state.lock().mode = Mode::Held;
    }

    /// No line is edited any more, or what was to be said first has been said.
    pub(super) fn direct(&self) {
        let mut state = self.state.lock();
        state.mode = Mode::Direct;
        state.write_waiting();
        self.changed.notify_all();
    }

    /// Prints what a statement or command answers.
    pub(super) fn print(&self, text: &str) {
        self.state.lock().write(text);
    }

    /// Prints an error.
    pub(super) fn error(&self, text: &str) {
        // The lock keeps it out of the middle of a table.
        let _state = self.state.lock();
        // Nothing is left to do when even standard error is closed.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Prints what happens by itself: above the line that is edited, if one is.
    pub(super) fn announce(&self, text: &str) {
        let mut state = self.state.lock();
        while state.mode == Mode::Prompt && state.waiting.len() >= WAITING {
            self.changed.wait(&mut state);
        }
        state.waiting.push_back(text.to_string());
        if state.mode == Mode::Direct || state.waiting.len() > WAITING {
            state.write_waiting();
        }
        self.changed.notify_all();
    }

    /// Whether nobody reads any more what is printed.
    pub(super) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }
}

impl State {
    fn write_waiting(&mut self) {
        while let Some(text) = self.waiting.pop_front() {
            self.write(&text);
        }
    }

    fn write(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        self.gone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }
}

impl ConsoleOut for Screen {
    fn write(&self, text: &str) {
        self.announce(text);
    }

    fn width(&self) -> Option<usize> {
        show::terminal_width()
    }
}

/// Whether someone types and reads: without, there is no prompt, no colour and no timing.
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

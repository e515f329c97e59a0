//! What runs, in a line per query below the output of a terminal; nothing anywhere else.
//!
//! ```text
//! ⠙ totals  batch 12  1,200,000 rows  3,100,000 rows/s  watermark 2024-01-01T00:00:16Z  1,024 state rows  3 late
//! ```

use crate::show::terminal_width;
use acequia::{ConsoleOut, Error, Result, StreamingQueryProgress};
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::sync::Notify;

/// How often a line moves, so that one sees that it lives.
const TICK: Duration = Duration::from_millis(100);

/// The lines, and the way to print above them.
#[derive(Debug)]
pub(crate) struct Status {
    visible: bool,
    lines: MultiProgress,
    queries: Mutex<BTreeMap<String, Line>>,
    /// Told once nobody reads standard output any more.
    unread: Notify,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    batches: u64,
    rows: u64,
    late: u64,
    busy_ms: f64,
}

impl Status {
    /// Lines that show when both standard output and standard error are a terminal.
    pub(crate) fn new() -> Self {
        let visible = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            visible,
            lines: MultiProgress::with_draw_target(target),
            queries: Mutex::default(),
            unread: Notify::new(),
        }
    }

    /// Whether there is somebody to see them.
    pub(crate) fn visible(&self) -> bool {
        self.visible
    }

    /// Gives a query a line, the last one if it runs no longer.
    pub(crate) fn show(&self, name: &str, active: bool) {
        let mut queries = self.queries.lock();
        let line = queries.entry(name.to_string()).or_insert_with(|| Line::new(&self.lines, name));
        if !active {
            line.end();
        }
    }

    /// Leaves the last line of every query.
    pub(crate) fn end(&self) {
        self.queries.lock().values().for_each(Line::end);
    }

    /// Tells of a batch.
    pub(crate) fn progress(&self, progress: &StreamingQueryProgress) {
        if let Some(line) = self.queries.lock().get_mut(&progress.name) {
            line.take(progress);
        }
    }

    /// Tells people something that is no output.
    pub(crate) fn tell(&self, text: &str) {
        if self.visible {
            // A terminal that is gone is no reason to stop.
            let _ = self.lines.println(text);
        }
    }

    /// Does what prints something above the lines.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.lines.suspend(print)
    }

    /// Tells on standard error, above the lines, what went wrong and does not end the run.
    pub(crate) fn warn(&self, text: &str) {
        // Nobody is left to be told when standard error is closed.
        let _ = self.lines.suspend(|| writeln!(std::io::stderr(), "{text}"));
    }

    /// Prints to standard output, above the lines. That a reader has gone away (`| head`) is no error: see
    /// [`Status::unread`].
    ///
    /// # Errors
    /// Those of standard output.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        let printed = self.above(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match printed {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                self.unread.notify_one();
                Ok(())
            }
            printed => printed.map_err(|e| Error::from(e).context("standard output")),
        }
    }

    /// Waits until nobody reads standard output any more.
    pub(crate) async fn unread(&self) {
        self.unread.notified().await;
    }
}

impl ConsoleOut for Status {
    fn write(&self, text: &str) {
        // What cannot be printed is no reason to fail the query.
        let _ = self.print(text);
    }

    fn width(&self) -> Option<usize> {
        terminal_width()
    }
}

impl Line {
    fn new(lines: &MultiProgress, name: &str) -> Self {
        let bar = lines.add(ProgressBar::new_spinner());
        // A template of ours that does not parse leaves indicatif's own.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_string());
        bar.set_message("waits for data");
        bar.enable_steady_tick(TICK);
        Self { bar, batches: 0, rows: 0, late: 0, busy_ms: 0.0 }
    }

    fn end(&self) {
        if !self.bar.is_finished() {
            self.bar.finish_with_message(self.summary());
        }
    }

    fn take(&mut self, progress: &StreamingQueryProgress) {
        self.batches += 1;
        self.rows += progress.num_input_rows;
        self.late += progress.num_late_rows;
        self.busy_ms += progress.duration_ms.trigger_execution;
        let message = if self.bar.is_finished() { self.summary() } else { self.doing(progress) };
        self.bar.set_message(message);
    }

    fn doing(&self, progress: &StreamingQueryProgress) -> String {
        let mut parts = vec![
            format!("batch {}", progress.batch_id),
            format!("{} rows", HumanCount(self.rows)),
            format!("{} rows/s", HumanCount(progress.processed_rows_per_second as u64)),
        ];
        parts.extend(progress.watermark.0.map(|watermark| format!("watermark {}", watermark.to_iso())));
        if !progress.state_operators.is_empty() {
            parts.push(format!("{} state rows", HumanCount(progress.state_rows())));
        }
        if self.late > 0 {
            parts.push(format!("{} late", HumanCount(self.late)));
        }
        parts.join("  ")
    }

    fn summary(&self) -> String {
        if self.batches == 0 {
            return "ended without a batch".to_string();
        }
        let batches = if self.batches == 1 { "batch" } else { "batches" };
        let busy = Duration::from_secs_f64(self.busy_ms / 1_000.0);
        format!("ended: {} {batches}, {} rows in {busy:.1?}", self.batches, HumanCount(self.rows))
    }
}

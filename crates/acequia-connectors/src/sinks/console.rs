//! The console sink: each published batch as a table, as Spark prints it.
//!
//! ```text
//! -------------------------------------------
//! Batch: 4
//! -------------------------------------------
//! +------+---+
//! | word | n |
//! +------+---+
//! | owl  | 2 |
//! +------+---+
//! ```
//! Printed when the batch is published, so that only decided batches appear. A batch without rows prints nothing,
//! except in `COMPLETE` mode, where it says that the result is empty. In `UPDATE` mode a batch with deletes has a first
//! column `op` that marks them `-D`.

use super::staging::Staging;
use super::table::{TableLayout, format_parts};
use super::{BatchListener, Published, SinkEnvironment};
use acequia_core::{BatchId, Error, Options, OutputMode, Result, Sink, SinkContext, SinkReceipt, SinkWriter};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// Rows printed per batch unless `num_rows` says otherwise, as in Spark.
const DEFAULT_ROWS: u64 = 20;
/// Width of a cell unless `truncate` says otherwise, as in Spark.
const DEFAULT_WIDTH: usize = 20;
const RULE: &str = "-------------------------------------------";

/// Where a console sink prints.
pub trait ConsoleOut: Send + Sync {
    /// Prints the text of a whole batch, line ends included.
    fn write(&self, text: &str);

    /// Terminal columns of a line; `None` where lines may be of any width.
    fn width(&self) -> Option<usize>;
}

/// Prints nothing.
#[derive(Debug)]
pub struct NoConsole;

impl ConsoleOut for NoConsole {
    fn write(&self, _text: &str) {}

    fn width(&self) -> Option<usize> {
        None
    }
}

/// Prints batches; see the module.
pub struct ConsoleSink {
    out: Arc<dyn ConsoleOut>,
    on_batch: Option<BatchListener>,
    layout: TableLayout,
    context: Option<SinkContext>,
    staging: Arc<Staging>,
}

impl fmt::Debug for ConsoleSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSink").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl ConsoleSink {
    /// Takes `num_rows` and `truncate` (`true`, `false` or a width).
    ///
    /// # Errors
    /// `Invalid` naming the option and what it must be.
    pub fn from_options(options: &mut Options, environment: &SinkEnvironment) -> Result<Self> {
        let limit = options.take_count("num_rows")?.unwrap_or(DEFAULT_ROWS);
        let layout = TableLayout {
            limit: Some(usize::try_from(limit).unwrap_or(usize::MAX)),
            truncate: take_truncate(options)?,
            ..TableLayout::default()
        };
        Ok(Self {
            out: Arc::clone(&environment.console),
            on_batch: environment.on_batch.clone(),
            layout,
            context: None,
            staging: Arc::default(),
        })
    }

    fn context(&self) -> Result<&SinkContext> {
        self.context.as_ref().ok_or_else(|| Error::internal("console sink used before it was opened"))
    }
}

fn take_truncate(options: &mut Options) -> Result<Option<usize>> {
    let Some(value) = options.take("truncate")? else { return Ok(Some(DEFAULT_WIDTH)) };
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(Some(DEFAULT_WIDTH)),
        "false" | "0" => Ok(None),
        number => {
            let width = number.parse::<usize>();
            width.map(Some).map_err(|_| options.bad_value("truncate", &value, "true, false or a width"))
        }
    }
}

#[async_trait]
impl Sink for ConsoleSink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.context = Some(context);
        self.staging = Arc::default();
        Ok(())
    }

    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        Ok(self.staging.writer(batch))
    }

    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        let Some(parts) = self.staging.rows(batch, receipts)? else { return Ok(()) };
        let context = self.context()?;
        if !parts.is_empty() || context.mode == OutputMode::Complete {
            let layout = TableLayout { width: self.out.width(), ..self.layout };
            let table = format_parts(&context.schema, &parts, layout)?;
            self.out.write(&format!("{RULE}\nBatch: {batch}\n{RULE}\n{table}\n"));
        }
        if let Some(listener) = &self.on_batch {
            listener(Published { query: &context.query, batch, mode: context.mode, parts: &parts });
        }
        self.staging.published(batch);
        Ok(())
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        Ok(self.staging.last_published())
    }

    fn durable(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Captured(pub(crate) parking_lot::Mutex<String>);

#[cfg(test)]
impl ConsoleOut for Captured {
    fn write(&self, text: &str) {
        self.0.lock().push_str(text);
    }

    fn width(&self) -> Option<usize> {
        None
    }
}

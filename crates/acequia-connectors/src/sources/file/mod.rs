//! `file`: the rows of files as they appear in a directory.
//!
//! ```text
//! listing --(path not in the log, not too old)--> queue, by modification time and name
//! queue --(many batches' at once)--> file log: numbered, durable --(max_files_per_batch)--> offset {files, cut}
//! ```
//! Files must appear whole (written elsewhere and renamed) and stay until their rows are committed; a path that was
//! taken is never read again, even when it is written anew. The offset is a number of files and, with
//! `max_rows_per_batch`, a [`Cut`] inside the next one; a range is the files and cuts between two offsets, so planning
//! it needs nothing but the file log. A cut is found by counting records, which reads a file of records twice when that
//! limit is set; a compressed file is then decompressed from its beginning for every batch.
//!
//! A directory is listed when every file of the last listing is taken, and the source never ends by itself.

mod listing;
mod log;
mod reader;

use super::{Connector, SourceDescription, SourceSpec};
use crate::formats::Cut;
use crate::formats::file::FileFormat;
use acequia_core::{Advance, Error, Offset, OffsetRange, Result, Source, SourceContext, Split, SplitReader};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use listing::{FileEntry, Location};
use log::FileLog;
use reader::{FileReader, FileSplit};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "file";

/// Files older than this, measured from the newest taken, are not taken any more.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

/// Files numbered at once where batches are limited: numbers are durable, and each batch would wait for the disk if it
/// had its own written.
const FILES_AHEAD: u64 = 1024;

/// The options, checked.
#[derive(Debug, Clone)]
struct FileOptions {
    location: Location,
    format: FileFormat,
    max_files: Option<u64>,
    max_rows: Option<u64>,
    max_age: Duration,
}

impl FileOptions {
    fn take(spec: &SourceSpec) -> Result<Self> {
        let mut options = spec.options();
        let taken = Self {
            location: Location::parse(&options.require("path")?)?,
            format: FileFormat::take(&mut options, &spec.name)?,
            max_files: options.take_count("max_files_per_batch")?,
            max_rows: options.take_count("max_rows_per_batch")?,
            max_age: options.take_interval("max_file_age")?.unwrap_or(DEFAULT_MAX_AGE),
        };
        options.finish()?;
        Ok(taken)
    }

    /// The columns as declared, or as the oldest file has them.
    async fn columns(&self, spec: &SourceSpec) -> Result<SchemaRef> {
        let listed = list(&self.location).await?;
        if let Some(declared) = &spec.declared {
            reader::check_names(declared)?;
            self.format.check(declared)?;
            return Ok(Arc::clone(declared));
        }
        let Some(first) = listed.first() else {
            return Err(Error::invalid(format!(
                "no file to find the columns of stream `{}` in: path=`{}`; declare the columns",
                spec.name,
                self.location.base.display()
            )));
        };
        let (format, path) = (self.format.clone(), first.path.clone());
        blocking(move || format.infer(Path::new(&path))).await
    }

    async fn reader(&self, spec: &SourceSpec) -> Result<FileReader> {
        let columns = self.columns(spec).await?;
        FileReader::new(spec, self.format.clone(), self.location.clone(), columns)
    }
}

/// Every file, by modification time and name.
async fn list(location: &Location) -> Result<Vec<FileEntry>> {
    let location = location.clone();
    blocking(move || {
        let mut files = location.list()?;
        files.sort_unstable_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        Ok(files)
    })
    .await
}

/// Runs what blocks its thread where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime
            .spawn_blocking(work)
            .await
            .map_err(|e| Error::internal(format!("a thread that reads files has died: {e}")))?,
        Err(_) => work(),
    }
}

/// The connector `file`.
#[derive(Debug)]
pub(crate) struct FileConnector;

#[async_trait]
impl Connector for FileConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription> {
        let reader = FileOptions::take(spec)?.reader(spec).await?;
        Ok(SourceDescription { schema: Arc::clone(reader.schema()), bounded: false })
    }

    async fn open(&self, spec: &SourceSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let options = FileOptions::take(spec)?;
        let reader = Arc::new(options.reader(spec).await?);
        let log = FileLog::open(context, options.max_age).await?;
        Ok(Box::new(FileSource { options, reader, log, queue: VecDeque::new(), stopped: false }))
    }
}

/// All of the first `files` files, and the next one up to a cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    files: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

/// The driver's side.
#[derive(Debug)]
struct FileSource {
    options: FileOptions,
    reader: Arc<FileReader>,
    log: FileLog,
    /// Listed and new, in order.
    queue: VecDeque<FileEntry>,
    stopped: bool,
}

fn position(offset: Option<&Offset>) -> Result<Position> {
    offset.map_or_else(|| Ok(Position::default()), Offset::decode)
}

impl FileSource {
    async fn refill(&mut self) -> Result<()> {
        let listed = list(&self.options.location).await?;
        self.queue = listed.into_iter().filter(|file| self.log.is_new(file)).collect();
        Ok(())
    }

    /// Numbers the files of the next batch, and of more where batches are limited: of whole ones, since a batch ends
    /// with the numbered files.
    async fn take_files(&mut self) -> Result<()> {
        if self.queue.is_empty() && !self.stopped {
            self.refill().await?;
        }
        let limit = match (self.options.max_files, self.options.max_rows) {
            (Some(files), _) => files.saturating_mul((FILES_AHEAD / files).max(1)),
            (None, Some(_)) => FILES_AHEAD,
            (None, None) => u64::MAX,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let files: Vec<_> = self.queue.iter().take(limit).cloned().collect();
        if !files.is_empty() {
            let count = files.len();
            self.log.take(files).await?;
            self.queue.drain(..count);
        }
        Ok(())
    }

    /// The end of a batch under both limits; the log has a file after `start`.
    async fn limit(&self, start: Position) -> Result<Position> {
        let max_files = self.options.max_files.unwrap_or(u64::MAX);
        let files = self.log.end().min(start.files.saturating_add(max_files));
        let Some(max_rows) = self.options.max_rows else { return Ok(Position { files, cut: None }) };
        let (mut at, mut rows) = (start, 0);
        while at.files < files && rows < max_rows {
            let file = self.log.file(at.files)?.clone();
            let (format, cut) = (self.options.format.clone(), at.cut);
            let advance = move || {
                file.verify()?;
                format.advance(Path::new(&file.path), cut, max_rows - rows)
            };
            let (counted, cut) = blocking(advance).await?;
            rows += counted;
            at = match cut {
                Some(_) => return Ok(Position { cut, ..at }),
                None => Position { files: at.files + 1, cut: None },
            };
        }
        Ok(at)
    }
}

#[async_trait]
impl Source for FileSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.reader.schema())
    }

    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance> {
        let start = position(start)?;
        if start.files > self.log.end() {
            return Err(self.log.ends_too_early());
        }
        if start.files == self.log.end() {
            self.take_files().await?;
        }
        if start.files == self.log.end() {
            return Ok(if self.stopped { Advance::Ended } else { Advance::Idle });
        }
        let end = self.limit(start).await?;
        Ok(Advance::To { end: Offset::encode(&end)?, step: None })
    }

    fn knows_next(&self, start: Option<&Offset>) -> bool {
        // To find the end of a number of rows is work.
        let listed = || position(start).is_ok_and(|s| s.files < self.log.end()) || !self.queue.is_empty();
        self.options.max_rows.is_none() && listed()
    }

    async fn stop_at_available(&mut self, _start: Option<&Offset>) -> Result<()> {
        self.refill().await?;
        self.stopped = true;
        Ok(())
    }

    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>> {
        let (start, end) = (position(range.start.as_ref())?, range.end.decode::<Position>()?);
        let last = end.files + u64::from(end.cut.is_some());
        let mut splits = vec![];
        for number in start.files..last {
            let file = self.log.file(number)?.clone();
            file.verify()?;
            let from = start.cut.filter(|_| number == start.files);
            let to = end.cut.filter(|_| number == end.files);
            splits.push(Split::encode(&FileSplit { file, from, to })?);
        }
        Ok(splits)
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::clone(&self.reader) as _
    }

    async fn commit(&mut self, end: &Offset) -> Result<()> {
        self.log.commit(end.decode::<Position>()?.files).await
    }
}

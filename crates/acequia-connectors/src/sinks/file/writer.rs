//! Stages a batch: one open file per partition, rolled over at the target size.
//!
//! A staged file's name carries batch, epoch and attempt, so no two runs and no two attempts ever share one, and ends
//! in `.staged`, so that no reader's pattern matches it.

use super::Place;
use super::disk;
use super::encode::{self, Encoder};
use acequia_core::disk::DiskFile;
use acequia_core::{BatchId, Error, Result, SinkBatch, SinkReceipt, SinkWriter};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Rows encoded before the size of a file is looked at again.
const SLICE_ROWS: usize = 8192;
/// Files open at a time; the one written least recently is closed for another.
const MAX_OPEN_FILES: usize = 128;
/// Bytes that all open files of a batch may hold in memory; the largest is flushed.
const MAX_BUFFERED_BYTES: usize = 256 << 20;

/// A receipt's payload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StagedFiles {
    pub(super) files: Vec<StagedFile>,
}

/// A staged file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StagedFile {
    /// Its name in the staging directory.
    pub(super) staged: String,
    /// Its directory below the sink's path, empty or ending in `/`.
    pub(super) directory: String,
    /// Its final name in that directory.
    pub(super) name: String,
    /// Rows of this batch in it.
    pub(super) rows: u64,
    /// Its size.
    pub(super) bytes: u64,
    /// It also holds all rows of the published file of that name, which has this size.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) replaces: Option<u64>,
}

/// Writes one batch; the work is done on a thread that may wait for the disk.
pub(super) struct FileWriter {
    stage: Option<Stage>,
}

impl FileWriter {
    pub(super) fn new(place: Arc<Place>, batch: BatchId, grows: bool) -> Self {
        Self { stage: Some(Stage::new(place, batch, grows)) }
    }

    fn take(&mut self) -> Result<Stage> {
        self.stage.take().ok_or_else(|| Error::internal("file writer used after a call that failed"))
    }
}

#[async_trait]
impl SinkWriter for FileWriter {
    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        if batch.deletes.is_some_and(|d| d.num_rows() > 0) {
            return Err(Error::internal("deletes came to a file sink"));
        }
        let mut stage = self.take()?;
        let work = move || stage.write(&batch.rows).map(|()| stage);
        self.stage = Some(super::blocking(work).await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<SinkReceipt> {
        let stage = self.take()?;
        super::blocking(move || stage.finish()).await
    }
}

struct Stage {
    place: Arc<Place>,
    batch: BatchId,
    /// Whether the newest small file of a partition is rewritten with this batch's rows.
    grows: bool,
    open: HashMap<String, OpenFile>,
    /// Partitions that had a file in this batch.
    begun: HashSet<String>,
    done: Vec<StagedFile>,
    files: u64,
    writes: u64,
    rows: u64,
}

struct OpenFile {
    encoder: Encoder<DiskFile>,
    file: StagedFile,
    last_write: u64,
}

impl OpenFile {
    fn bytes(&self) -> u64 {
        let (file, buffered) = self.encoder.inner();
        file.written() + buffered as u64
    }
}

impl Stage {
    fn new(place: Arc<Place>, batch: BatchId, grows: bool) -> Self {
        Self {
            place,
            batch,
            grows,
            open: HashMap::new(),
            begun: HashSet::new(),
            done: vec![],
            files: 0,
            writes: 0,
            rows: 0,
        }
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        for (directory, rows) in self.place.partitioner.split(rows)? {
            for start in (0..rows.num_rows()).step_by(SLICE_ROWS) {
                let slice = rows.slice(start, SLICE_ROWS.min(rows.num_rows() - start));
                self.write_slice(&directory, &slice)?;
            }
        }
        self.rows += rows.num_rows() as u64;
        self.relieve()
    }

    fn write_slice(&mut self, directory: &str, rows: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(directory) {
            self.make_room()?;
            let file = self.begin(directory)?;
            self.open.insert(directory.to_string(), file);
        }
        let Some(open) = self.open.get_mut(directory) else { return Ok(()) };
        self.writes += 1;
        open.last_write = self.writes;
        open.encoder.write(rows).map_err(|e| self.place.staged_error(&open.file.staged, e))?;
        open.file.rows += rows.num_rows() as u64;
        if open.bytes() >= self.place.options.target_bytes {
            self.close(directory)?;
        }
        Ok(())
    }

    /// Opens a partition's next file; the first of a batch takes over a small published one.
    fn begin(&mut self, directory: &str) -> Result<OpenFile> {
        let first = self.begun.insert(directory.to_string());
        let tail = if first && self.grows { self.place.tail(directory)? } else { None };
        if let Some(tail) = tail {
            let path = self.place.root.join(directory).join(&tail.name);
            let published =
                encode::open(&self.place.options.format, self.place.partitioner.file_schema(), &path)?;
            if let Some(published) = published {
                let mut open = self.create(directory, tail.name, Some(tail.bytes))?;
                let copied = open.encoder.write_published(published);
                copied.map_err(|e| self.place.staged_error(&open.file.staged, e))?;
                return Ok(open);
            }
        }
        let name = self.place.file_name(self.batch, self.files);
        self.create(directory, name, None)
    }

    fn create(&mut self, directory: &str, name: String, replaces: Option<u64>) -> Result<OpenFile> {
        let number = self.files;
        self.files += 1;
        let (staged, file) = self.place.create_staged(self.batch, number)?;
        let encoder = Encoder::new(&self.place.options.format, self.place.partitioner.file_schema(), file)
            .map_err(|e| self.place.staged_error(&staged, e))?;
        let file = StagedFile { staged, directory: directory.to_string(), name, rows: 0, bytes: 0, replaces };
        Ok(OpenFile { encoder, file, last_write: self.writes })
    }

    fn close(&mut self, directory: &str) -> Result<()> {
        let Some(OpenFile { mut encoder, file, .. }) = self.open.remove(directory) else { return Ok(()) };
        let staged = file.staged.clone();
        self.done.push(file);
        encoder.finish().map_err(|e| self.place.staged_error(&staged, e))?;
        let (written, _) = encoder.inner();
        written.sync().map_err(|e| disk::failed("sync", written.path(), e))?;
        if let Some(file) = self.done.last_mut() {
            file.bytes = written.written();
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<()> {
        if self.open.len() < MAX_OPEN_FILES {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.last_write).map(|(name, _)| name.clone());
        oldest.map_or(Ok(()), |name| self.close(&name))
    }

    /// Flushes row groups until the open files hold little enough.
    fn relieve(&mut self) -> Result<()> {
        let mut buffered: usize = self.open.values().map(|open| open.encoder.buffered()).sum();
        while buffered > MAX_BUFFERED_BYTES {
            let Some(largest) = self.open.values_mut().max_by_key(|open| open.encoder.buffered()) else {
                break;
            };
            let before = largest.encoder.buffered();
            largest.encoder.flush().map_err(|e| self.place.staged_error(&largest.file.staged, e))?;
            let freed = before.saturating_sub(largest.encoder.buffered());
            if freed == 0 {
                break;
            }
            buffered -= freed;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SinkReceipt> {
        let mut left: Vec<_> = self.open.keys().cloned().collect();
        left.sort();
        left.iter().try_for_each(|directory| self.close(directory))?;
        if !self.done.is_empty() {
            self.place.disk.sync_directory(&self.place.staging)?;
        }
        let payload = serde_json::to_value(StagedFiles { files: std::mem::take(&mut self.done) });
        let payload = payload.map_err(|e| Error::internal(e.to_string()))?;
        Ok(SinkReceipt { payload, rows: self.rows })
    }
}

/// What is given up is removed at once where that is possible, as it may be what filled the disk.
impl Drop for Stage {
    fn drop(&mut self) {
        let open = self.open.values().map(|open| &open.file);
        for file in open.chain(&self.done) {
            if let Err(error) = self.place.disk.remove(&self.place.staging.join(&file.staged)) {
                tracing::debug!(%error, "staged file is left for the next batch to remove");
            }
        }
    }
}

impl Place {
    /// Creates a staged file under a name that was never used.
    fn create_staged(&self, batch: BatchId, number: u64) -> Result<(String, DiskFile)> {
        for attempt in 0..u64::MAX {
            let name = staged_name(batch, self.epoch.0, attempt, number);
            if let Some(file) = self.disk.create_new(&self.staging.join(&name))? {
                return Ok((name, file));
            }
        }
        Err(Error::internal("no name is left for a staged file"))
    }

    fn staged_error(&self, staged: &str, error: Error) -> Error {
        error.context(format!("cannot write `{}`", self.staging.join(staged).display()))
    }
}

const STAGED: &str = ".staged";

fn staged_name(batch: BatchId, epoch: u64, attempt: u64, number: u64) -> String {
    format!("{:010}-{epoch}-{attempt}-{number}{STAGED}", batch.0)
}

/// The batch that a staged file belongs to.
pub(super) fn staged_batch(name: &str) -> Option<BatchId> {
    let (batch, _) = name.strip_suffix(STAGED)?.split_once('-')?;
    batch.parse().ok().map(BatchId)
}

/// The names of staged files of batches up to this one.
pub(super) fn staged_up_to(place: &Place, batch: BatchId) -> Result<Vec<String>> {
    let names = disk::list(&place.staging)?;
    Ok(names.into_iter().filter(|name| staged_batch(name).is_some_and(|b| b <= batch)).collect())
}

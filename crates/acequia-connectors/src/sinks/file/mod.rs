//! The `parquet` and `file` sinks: exactly once into a directory that is always right.
//!
//! A reader that knows nothing of this project, and reads `path/**/*.parquet` at any moment, sees whole files of
//! committed batches and no row twice; after a crash the missing files of a committed batch are added by the next run.
//!
//! ```text
//! path/day=1/part-<query>-<batch>-<n>.parquet                 published
//! path/_acequia/<query>/staging/<batch>-<epoch>-...staged     written, not decided
//! path/_acequia/<query>/log/<level>-<first>-<last>.entry      what is published: see `log`
//! ```
//! - **Write**: files are staged in a directory that readers skip, under names that no pattern matches, and synced
//!   with their directory before the receipt is given.
//! - **Publish**: each staged file is renamed to its final name, the directories are synced, the batch is recorded in
//!   the log. A name is staged once and never again, so its rename happens once in all, whoever does it: an old
//!   process that wakes up finds nothing to rename and cannot bring back old content. Publishing again is safe at any
//!   step: a staged file that is gone while the final one is there with its size was renamed before. A batch that the
//!   log has is left alone.
//! - **Clean up**: a staged file of a batch that is not published may be in the receipts of a committed batch, which
//!   only the runtime knows. So opening removes nothing but files of published batches, and publishing a batch removes
//!   all that was staged up to it; what a crashed run staged for the next batch lies there until that is published.
//! - **Names** hold a hash of the query's id: any number of queries may write into one directory.
//!
//! **`compact`** avoids small files: while the newest file of a partition is smaller than half of the target, the next
//! batch's staged file begins with its rows, and publishing replaces it by a rename, so that there is no moment with a
//! row missing or twice. That needs the content of the old file to be final when the new one is written: it is when
//! the batch before is published, since batches are published in order and each name is renamed once. Otherwise the
//! batch begins a new file. A batch thus rewrites at most half of `target_file_size` per partition that it touches.

mod csv;
mod disk;
mod encode;
mod json;
mod log;
mod options;
mod partition;
mod types;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod faults;

pub use log::{CommittedFile, committed_files};
pub use options::Format;

use acequia_core::{
    BatchId, Epoch, Error, Options, OutputMode, QueryId, Result, Sink, SinkContext, SinkReceipt, SinkWriter,
};
use arrow::datatypes::Schema;
use async_trait::async_trait;
use disk::Disk;
use log::PublishLog;
use options::FileOptions;
use parking_lot::Mutex;
use partition::Partitioner;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use writer::{FileWriter, StagedFile, StagedFiles, staged_up_to};

/// What readers skip, as they skip every name that begins with `_`.
const PRIVATE: &str = "_acequia";
const STAGING: &str = "staging";
const LOG: &str = "log";
/// Partitions about which something is remembered; beyond it all are looked up again.
const MAX_PARTITIONS: usize = 100_000;

/// Where a query keeps what is its own.
fn query_directory(path: &Path, query: &QueryId) -> PathBuf {
    path.join(PRIVATE).join(format!("q-{}", partition::encode(&query.0)))
}

/// Writes files; see the module.
#[derive(Debug)]
pub struct FileSink {
    options: FileOptions,
    disk: Disk,
    place: Option<Arc<Place>>,
}

impl FileSink {
    /// Takes `path`, `format` (unless it is `fixed`), `partition_by`, `compression`, `target_file_size`, `compact`, and
    /// for CSV `header` and `delimiter`.
    ///
    /// # Errors
    /// `Invalid` naming the option and what it must be; `Unsupported` for a path that is not local.
    pub fn from_options(
        options: &mut Options,
        fixed: Option<Format>,
        disk: acequia_core::disk::Disk,
    ) -> Result<Self> {
        Ok(Self { options: FileOptions::take(options, fixed)?, disk: Disk(disk), place: None })
    }

    fn place(&self) -> Result<Arc<Place>> {
        self.place.clone().ok_or_else(|| Error::internal("file sink used before it was opened"))
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        check_mode(context.mode)?;
        check_schema(&context.schema)?;
        types::check(&self.options.format, &context.schema)?;
        let (options, disk) = (self.options.clone(), self.disk.clone());
        self.place = Some(blocking(move || Place::open(options, disk, &context).map(Arc::new)).await?);
        Ok(())
    }

    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        let place = self.place()?;
        let writer = move || place.may_grow(batch).map(|grows| FileWriter::new(place, batch, grows));
        Ok(Box::new(blocking(writer).await?))
    }

    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        let (place, files) = (self.place()?, read_receipts(batch, receipts)?);
        blocking(move || place.publish(batch, &files)).await
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        let place = self.place()?;
        blocking(move || place.log.last()).await
    }

    fn durable(&self) -> bool {
        true
    }
}

fn check_mode(mode: OutputMode) -> Result<()> {
    match mode {
        OutputMode::Append | OutputMode::Changes => Ok(()),
        OutputMode::Update | OutputMode::Complete => Err(Error::unsupported(format!(
            "file sink cannot take {mode}, as rows in files never change; use EMIT APPEND with a watermark, \
             EMIT CHANGES, or a memory or console sink"
        ))),
    }
}

fn check_schema(schema: &Schema) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::invalid("file sink needs at least one column"));
    }
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(twice) => Err(Error::invalid(format!(
            "file sink got two columns of one name: `{}`; rename one with AS",
            twice.name()
        ))),
        None => Ok(()),
    }
}

fn read_receipts(batch: BatchId, receipts: &[SinkReceipt]) -> Result<Vec<StagedFile>> {
    let mut all = vec![];
    for receipt in receipts {
        let staged: StagedFiles = serde_json::from_value(receipt.payload.clone())
            .map_err(|e| Error::data(format!("receipt of batch {batch} is damaged: {e}")))?;
        all.extend(staged.files);
    }
    let escapes = |path: &str| Path::new(path).components().any(|c| !matches!(c, Component::Normal(_)));
    match all.iter().find(|f| escapes(&f.staged) || escapes(&f.name) || escapes(&f.directory)) {
        Some(file) => {
            Err(Error::data(format!("receipt of batch {batch} is damaged: it names `{}`", file.name)))
        }
        None => Ok(all),
    }
}

/// An opened sink: the directory, and what is known about it.
#[derive(Debug)]
struct Place {
    options: FileOptions,
    root: PathBuf,
    staging: PathBuf,
    /// What the names of this query's files begin with.
    prefix: String,
    epoch: Epoch,
    partitioner: Partitioner,
    log: PublishLog,
    disk: Disk,
    /// The newest file of a partition, `None` inside when it is too large to grow. A partition that is not here has
    /// not been looked at in this run.
    tails: Mutex<HashMap<String, Option<Tail>>>,
    /// Partition directories that this run has made durable.
    durable: Mutex<HashSet<String>>,
}

/// The newest published file of a partition.
#[derive(Debug, Clone)]
struct Tail {
    name: String,
    bytes: u64,
}

impl Place {
    fn open(options: FileOptions, disk: Disk, context: &SinkContext) -> Result<Self> {
        let stored = types::stored(options.format.format, &context.schema);
        let partitioner = Partitioner::try_new(&context.schema, &stored, &options.partition_by)?;
        let own = query_directory(&options.path, &context.query);
        let (staging, log) = (own.join(STAGING), own.join(LOG));
        disk.make_directories(&options.path)?;
        disk.settle_root(&options.path)?;
        disk.make_durable_directories(&options.path, &staging)?;
        disk.make_durable_directories(&options.path, &log)?;
        let hash = xxhash_rust::xxh3::xxh3_64(context.query.0.as_bytes());
        let place = Self {
            root: options.path.clone(),
            staging,
            prefix: format!("part-{hash:016x}-"),
            epoch: context.epoch,
            partitioner,
            log: PublishLog::new(log, context.query.clone(), context.epoch.to_string(), disk.clone()),
            disk,
            tails: Mutex::default(),
            durable: Mutex::default(),
            options,
        };
        place.log.check()?;
        place.log.settle()?;
        if let Some(last) = place.log.last()? {
            place.clean_staging(last)?;
        }
        Ok(place)
    }

    /// The final name of a batch's n-th file.
    fn file_name(&self, batch: BatchId, number: u64) -> String {
        format!("{}{:010}-{number:04}{}", self.prefix, batch.0, self.options.format.suffix())
    }

    /// Whether this batch may rewrite published files: see the module.
    fn may_grow(&self, batch: BatchId) -> Result<bool> {
        Ok(self.options.compact && self.log.last()?.is_some_and(|last| last.next() == batch))
    }

    /// The file of a partition that the next batch rewrites.
    fn tail(&self, directory: &str) -> Result<Option<Tail>> {
        if let Some(known) = self.tails.lock().get(directory) {
            return Ok(known.clone());
        }
        let path = self.root.join(directory);
        let ours = |name: &String| self.file_order(name).is_some();
        let newest = disk::list(&path)?.into_iter().filter(ours).max_by_key(|name| self.file_order(name));
        let Some(name) = newest.filter(|_| self.knows_columns_by_file()) else { return Ok(None) };
        let Some(bytes) = disk::size(&path.join(&name))? else { return Ok(None) };
        let tail = self.still_grows(bytes).then_some(Tail { name, bytes });
        self.remember(directory, tail.clone());
        Ok(tail)
    }

    /// CSV without a header does not tell whether an earlier run wrote other columns.
    fn knows_columns_by_file(&self) -> bool {
        self.options.format.format != Format::Csv || self.options.format.header
    }

    /// Batch and number in the name of one of this query's files.
    fn file_order(&self, name: &str) -> Option<(u64, u64)> {
        let name = name.strip_prefix(&self.prefix)?.strip_suffix(&self.options.format.suffix())?;
        let (batch, number) = name.split_once('-')?;
        Some((batch.parse().ok()?, number.parse().ok()?))
    }

    fn still_grows(&self, bytes: u64) -> bool {
        bytes < self.options.target_bytes / 2
    }

    fn remember(&self, directory: &str, tail: Option<Tail>) {
        let mut tails = self.tails.lock();
        if tails.len() >= MAX_PARTITIONS {
            tails.clear();
        }
        tails.insert(directory.to_string(), tail);
    }

    fn publish(&self, batch: BatchId, files: &[StagedFile]) -> Result<()> {
        let last = self.log.last()?;
        if last.is_some_and(|last| batch <= last) {
            return Ok(());
        }
        for file in files {
            self.publish_file(batch, last, file)?;
        }
        let directories: BTreeSet<_> = files.iter().map(|f| f.directory.as_str()).collect();
        directories.iter().try_for_each(|d| self.disk.sync_directory(&self.root.join(d)))?;
        self.log.record(batch, &committed(files))?;
        if self.options.compact {
            for file in files {
                let tail = Tail { name: file.name.clone(), bytes: file.bytes };
                self.remember(&file.directory, self.still_grows(file.bytes).then_some(tail));
            }
        }
        self.tidy(batch);
        Ok(())
    }

    fn publish_file(&self, batch: BatchId, last: Option<BatchId>, file: &StagedFile) -> Result<()> {
        let directory = self.make_partition(&file.directory)?;
        let (from, to) = (self.staging.join(&file.staged), directory.join(&file.name));
        if disk::size(&from)?.is_some() {
            self.check_target(batch, last, file, &to)?;
            if self.disk.rename(&from, &to)? {
                return Ok(());
            }
        }
        // Renamed before the crash, or by the other of two processes that publish the batch.
        if disk::size(&to)? == Some(file.bytes) || self.log.last()? >= Some(batch) {
            return Ok(());
        }
        Err(Error::data(format!(
            "staged file of a committed batch is gone: batch={batch} staged=`{}` final=`{}`",
            from.display(),
            to.display()
        )))
    }

    fn make_partition(&self, directory: &str) -> Result<PathBuf> {
        let path = self.root.join(directory);
        if !self.durable.lock().contains(directory) {
            self.disk.make_durable_directories(&self.root, &path)?;
            let mut durable = self.durable.lock();
            if durable.len() >= MAX_PARTITIONS {
                durable.clear();
            }
            durable.insert(directory.to_string());
        }
        Ok(path)
    }

    /// A file is replaced only by one that was made from it.
    fn check_target(
        &self,
        batch: BatchId,
        last: Option<BatchId>,
        file: &StagedFile,
        to: &Path,
    ) -> Result<()> {
        let found = disk::size(to)?;
        let Some(expected) = file.replaces else {
            return match found {
                Some(found) if found != file.bytes => {
                    Err(changed(to, "its name is that of a batch not published"))
                }
                _ => Ok(()),
            };
        };
        if last.map(BatchId::next) != Some(batch) {
            return Err(Error::internal(format!(
                "batch is published out of order: batch={batch} last={last:?} file=`{}`",
                to.display()
            )));
        }
        match found {
            Some(found) if found != expected && found != file.bytes => {
                Err(changed(to, &format!("size is {found}, was {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// What can be left for the next batch when it fails: the batch is published.
    fn tidy(&self, batch: BatchId) {
        if let Err(error) = self.log.compact().and_then(|()| self.clean_staging(batch)) {
            tracing::warn!(%error, %batch, "file sink could not tidy up; it will try again with the next batch");
        }
    }

    /// Removes what is staged for batches up to this one, which is published.
    fn clean_staging(&self, published: BatchId) -> Result<()> {
        let names = staged_up_to(self, published)?;
        names.iter().try_for_each(|name| self.disk.remove(&self.staging.join(name)))
    }
}

fn committed(files: &[StagedFile]) -> Vec<CommittedFile> {
    let line = |f: &StagedFile| CommittedFile {
        path: format!("{}{}", f.directory, f.name),
        rows: f.rows,
        bytes: f.bytes,
    };
    files.iter().map(line).collect()
}

fn changed(path: &Path, how: &str) -> Error {
    Error::data(format!("published file was changed by somebody else: `{}`: {how}", path.display()))
}

/// Runs what waits for the disk where it holds up no task.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal(format!("file sink worker ended: {e}")))?
}

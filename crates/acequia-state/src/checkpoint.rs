//! The logs of a query: which run owns it, what each batch is, and which batches are done.
//!
//! ```text
//! open            metadata.json, then claim the next epochs/E
//! latest          the last commits/N, and offsets/N+1 if it is there; offsets beyond are damage
//! write_offsets   offsets/N unless it is there: then that is what batch N is
//! write_commit    commits/N unless it is there: the one decision, and with it what batch N was
//! purge           forget old batches, one for each new one
//! ```
//! **What a loss of power may take.** `commits/N` is durable, with its name, when it is written. Of `offsets/N` only the
//! content is: a loss of power may take the file, though never a part of it. That saves a sync per batch and does no
//! harm:
//! - N was not committed. Then nothing of it was published, since that comes after the commit, and batch N is decided
//!   anew, as if the power had gone just before it was decided. What its first run has left behind is what a run that
//!   was killed leaves: staged output and segments under names with its epoch, which no later run uses; files and rows
//!   that a source has noted in its own directory, durably, before it told of them, and gives again from the last
//!   committed offset on. Both must bear that already, as a run can be killed before it writes `offsets/N`. No run is
//!   left that could follow the lost file: a loss of power ends them all, and should a server of files lose it under
//!   two runs that live on, each commits what *it* has run, and one of them is told that the other was first.
//! - N was committed. Then `commits/N` says what it was, and `offsets/N` is not looked at any more; any of them may be
//!   missing below a commit. (Format 1 kept it only there, under a durable name.)
//!
//! A run that is only killed loses nothing: the next one finds `offsets/N` and runs the batch as it is written there.
//!
//! **Fencing.** A run that starts claims a higher epoch than any before it. An older run notices in
//! [`Checkpoint::write_commit`] and [`Checkpoint::check_fence`] (and in `write_offsets` when the newer one was first)
//! and stops with `Fenced`. Between its check and its write an older run may still win `commits/N`: this is legal, the
//! newer one is told so by [`CommitOutcome::TakenByOlder`], recovers again and goes on. Since nothing is published
//! before it is committed, and publishing is idempotent, no batch shows twice.
//!
//! Epochs of long ago are forgotten, oldest first, so a run that finds its *own* claim gone is fenced as well.
//!
//! Listings are never trusted alone: what a listing gives as last is followed by asking for the next by name.

use crate::record::{self, CommitRecord, EpochRecord, FORMAT, Metadata, OffsetRecord, Record};
use crate::retention::Retention;
use crate::state_store::{Place, StateStore};
use crate::store::{exists, get_if_present, put_if_absent, put_if_absent_for_now, remove, store_error};
use acequia_core::{BatchId, Epoch, Error, QueryId, Result};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Claims of this many runs are kept.
const EPOCHS_KEPT: u64 = 16;
/// How often `latest` looks again while an older run is still writing.
const LATEST_ATTEMPTS: usize = 4;

/// The checkpoint of a query, owned by this run until a newer one opens it.
#[derive(Debug)]
pub struct Checkpoint {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    query: QueryId,
    epoch: Epoch,
    retention: tokio::sync::Mutex<Retention>,
    segments_named: Arc<AtomicU64>,
}

/// Where a query stands: what [`Checkpoint::latest`] finds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latest {
    /// The last batch that was begun: the one after `commit`, to be run again as it is written here, or the same.
    pub offsets: Option<OffsetRecord>,
    /// The last batch that is done. It says what it was.
    pub commit: Option<CommitRecord>,
}

/// What became of [`Checkpoint::write_offsets`].
#[derive(Debug, Clone, PartialEq)]
pub enum OffsetsOutcome {
    /// The batch is what was asked for.
    Written,
    /// An older attempt, of an earlier run or one of this run whose answer was lost, has decided what the batch is.
    Exists(OffsetRecord),
}

/// What became of [`Checkpoint::write_commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The batch is done as asked for.
    Committed,
    /// An older attempt has decided the batch, with its own state and receipts: recover from
    /// [`Checkpoint::latest`] and go on.
    TakenByOlder,
}

impl Checkpoint {
    /// Opens a checkpoint, or makes one for a new query with a random id, and takes it over from older runs.
    ///
    /// # Errors
    /// `Data` when it is damaged; those of the store.
    pub async fn open(store: Arc<dyn ObjectStore>, prefix: Path) -> Result<Self> {
        Self::open_as(store, prefix, || QueryId(uuid::Uuid::new_v4().to_string())).await
    }

    /// As [`Checkpoint::open`], with a new query's id from the caller.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub async fn open_as(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        new_id: impl FnOnce() -> QueryId,
    ) -> Result<Self> {
        let logs = Logs { store: &*store, prefix: &prefix };
        let query = logs.metadata(new_id).await?.id;
        let epoch = logs.claim_epoch().await?;
        let retention = tokio::sync::Mutex::new(Retention::default());
        Ok(Self { query, epoch, retention, segments_named: Arc::default(), store, prefix })
    }

    /// The query, for the life of the checkpoint.
    pub fn query(&self) -> &QueryId {
        &self.query
    }

    /// This run.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The private directory of a source.
    ///
    /// # Errors
    /// `Invalid` when the name is empty.
    pub fn source_store(&self, name: &str) -> Result<Arc<dyn ObjectStore>> {
        if name.is_empty() {
            return Err(Error::invalid("a source of a query with a checkpoint needs a name"));
        }
        let directory = self.prefix.clone().join("sources").join(name);
        Ok(Arc::new(PrefixStore::new(Arc::clone(&self.store), directory)))
    }

    /// The state of the query, at no version yet: call [`StateStore::restore`] unless the query is new.
    pub fn state_store(&self) -> StateStore {
        StateStore::new(Place {
            store: Arc::clone(&self.store),
            checkpoint: self.prefix.clone(),
            epoch: self.epoch,
            named: Arc::clone(&self.segments_named),
        })
    }

    /// Where the query stands. The commit is durable, even if an older run was just writing it.
    ///
    /// # Errors
    /// `Data` naming files that are damaged, missing or do not fit together; `Fenced`.
    pub async fn latest(&self) -> Result<Latest> {
        let logs = self.logs();
        let mut commit = logs.last_commit(None).await?;
        for _ in 0..LATEST_ATTEMPTS {
            let done = commit.as_ref().map(|c| c.batch);
            let next = done.map_or(BatchId(0), BatchId::next);
            match logs.numbers("offsets").await?.pop() {
                Some(begun) if begun > next.0 => {
                    let later = logs.last_commit(done).await?;
                    if later.as_ref().map(|c| c.batch) == done {
                        return Err(logs.torn(done, begun));
                    }
                    commit = later;
                }
                _ => {
                    let begun = logs.read::<OffsetRecord>("offsets", next.0).await?.map(|(record, _)| record);
                    let offsets = begun.or_else(|| commit.as_ref().and_then(|c| c.offsets.clone()));
                    return self.owned(Latest { offsets, commit });
                }
            }
        }
        Err(Error::unavailable(format!(
            "another run is writing to the checkpoint: `{}`; try again",
            self.prefix
        )))
    }

    fn owned(&self, latest: Latest) -> Result<Latest> {
        let epochs = [latest.offsets.as_ref().map(|o| o.epoch), latest.commit.as_ref().map(|c| c.epoch)];
        match epochs.into_iter().flatten().max() {
            Some(newest) if newest > self.epoch => Err(self.fenced_by(newest)),
            _ => Ok(latest),
        }
    }

    /// The record of a batch that is done, unless it has been purged or is not done. One that was purged may still be
    /// here for what it carries; its own state is then gone.
    ///
    /// # Errors
    /// `Data` when it is damaged.
    pub async fn commit(&self, batch: BatchId) -> Result<Option<CommitRecord>> {
        Ok(self.logs().read("commits", batch.0).await?.map(|(record, _)| record))
    }

    /// Decides what a batch is, until a loss of power (see the module's text). Writing the same again is fine.
    ///
    /// # Errors
    /// `Fenced` when a newer run has decided it.
    pub async fn write_offsets(&self, offsets: &OffsetRecord) -> Result<OffsetsOutcome> {
        match self.write(offsets).await? {
            None => Ok(OffsetsOutcome::Written),
            Some(older) => Ok(OffsetsOutcome::Exists(older)),
        }
    }

    /// Decides that a batch is done, and what it was. Writing the same again is fine. After an error the decision may have been made:
    /// write it again, or open the checkpoint anew.
    ///
    /// # Errors
    /// `Fenced` when a newer run owns the checkpoint; publish nothing then (the newer run does it if need be).
    pub async fn write_commit(&self, commit: &CommitRecord) -> Result<CommitOutcome> {
        commit.check()?;
        self.check_fence().await?;
        let older = self.write(commit).await?;
        // Old commits are forgotten, so a run that slept for long may have found the name free again.
        self.check_fence().await?;
        if older.is_some() {
            return Ok(CommitOutcome::TakenByOlder);
        }
        self.retention.lock().await.committed(&self.logs(), commit.batch, &commit.state);
        Ok(CommitOutcome::Committed)
    }

    /// Whether this run still owns the checkpoint.
    ///
    /// # Errors
    /// `Fenced` when a newer run does.
    pub async fn check_fence(&self) -> Result<()> {
        // In this order: claims are forgotten oldest first, so ours goes before the one that follows it.
        let (next, own) = (self.epoch.next(), self.epoch);
        if exists(&*self.store, &self.logs().object("epochs", next.0)).await? {
            return Err(self.fenced_by(next));
        }
        match exists(&*self.store, &self.logs().object("epochs", own.0)).await? {
            true => Ok(()),
            false => Err(self.fenced_by(next)),
        }
    }

    /// Forgets all but the last `keep` batches (at least 2, since the last one may not be published yet) and the state
    /// that only they need. To be called after each commit, and it may run beside the next batch: it then forgets one
    /// batch. The first call of a run also removes what earlier runs have left behind.
    ///
    /// # Errors
    /// Those of the store; what was not removed is removed by a later call.
    pub async fn purge(&self, keep: usize) -> Result<()> {
        self.retention.lock().await.purge(&self.logs(), self.epoch, keep.max(2)).await
    }

    /// Writes a record unless there is one; gives the older one that differs.
    async fn write<T: LogRecord>(&self, record: &T) -> Result<Option<T>> {
        if record.epoch() != self.epoch {
            let (log, batch, epoch) = (T::LOG, record.batch(), record.epoch());
            return Err(Error::internal(format!(
                "record of another run: log={log} batch={batch} epoch={epoch} own={}",
                self.epoch
            )));
        }
        let logs = self.logs();
        let object = logs.object(T::LOG, record.batch().0);
        let bytes = record::encode(record)?;
        let (store, payload) = (&*self.store, bytes.clone().into());
        let written = match T::DECIDES_FOR_EVER {
            true => put_if_absent(store, &object, payload).await?,
            false => put_if_absent_for_now(store, &object, payload).await?,
        };
        if written {
            return Ok(None);
        }
        let Some((found, found_bytes)) = logs.read::<T>(T::LOG, record.batch().0).await? else {
            return Err(self.fenced_by(self.epoch.next()).context(format!("`{object}` was purged")));
        };
        if found.epoch() > self.epoch {
            return Err(self.fenced_by(found.epoch()));
        }
        Ok((found_bytes != bytes).then_some(found))
    }

    fn fenced_by(&self, newer: Epoch) -> Error {
        Error::fenced(format!(
            "a newer run has taken over the checkpoint: {} prefix=`{}` own epoch={} newer={newer}; this run has \
             stopped and has published nothing since",
            self.store, self.prefix, self.epoch
        ))
    }

    fn logs(&self) -> Logs<'_> {
        Logs { store: &*self.store, prefix: &self.prefix }
    }
}

/// A record of a log with a place per batch.
pub(crate) trait LogRecord: Record {
    /// The log's directory.
    const LOG: &'static str;
    /// Whether it must outlive a loss of power.
    const DECIDES_FOR_EVER: bool;

    fn batch(&self) -> BatchId;
    fn epoch(&self) -> Epoch;
}

impl LogRecord for OffsetRecord {
    const LOG: &'static str = "offsets";
    const DECIDES_FOR_EVER: bool = false;

    fn batch(&self) -> BatchId {
        self.batch
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl LogRecord for CommitRecord {
    const LOG: &'static str = "commits";
    const DECIDES_FOR_EVER: bool = true;

    fn batch(&self) -> BatchId {
        self.batch
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// The files of a checkpoint by name, without an owner.
pub(crate) struct Logs<'a> {
    pub(crate) store: &'a dyn ObjectStore,
    pub(crate) prefix: &'a Path,
}

impl Logs<'_> {
    pub(crate) fn directory(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(crate) fn object(&self, directory: &str, number: u64) -> Path {
        self.directory(directory).join(number.to_string())
    }

    /// The names in a directory, in no order.
    pub(crate) async fn names(&self, directory: &str) -> Result<Vec<String>> {
        let directory = self.directory(directory);
        let listed = self.store.list(Some(&directory));
        let names = listed.map_ok(|m| m.location.filename().unwrap_or_default().to_string());
        names.try_collect().await.map_err(|e| store_error("listing", &directory, e))
    }

    /// The numbers that are names in a directory, rising. Other names are not ours.
    pub(crate) async fn numbers(&self, directory: &str) -> Result<Vec<u64>> {
        let names = self.names(directory).await?;
        let canonical = |name: &String| name.parse::<u64>().ok().filter(|n| n.to_string() == *name);
        let mut numbers: Vec<u64> = names.iter().filter_map(canonical).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A record and its bytes.
    pub(crate) async fn read<T: LogRecord>(&self, log: &str, number: u64) -> Result<Option<(T, Bytes)>> {
        let object = self.object(log, number);
        let Some(bytes) = get_if_present(self.store, &object).await? else { return Ok(None) };
        let record: T = record::decode(&object, &bytes)?;
        if record.batch().0 != number {
            let batch = record.batch();
            return Err(Error::data(format!(
                "file in the checkpoint is of another batch: `{object}`: batch={batch}"
            )));
        }
        Ok(Some((record, bytes)))
    }

    /// The last commit, at or after `known`.
    async fn last_commit(&self, known: Option<BatchId>) -> Result<Option<CommitRecord>> {
        let listed = match known {
            Some(batch) => Some(batch.0),
            None => self.numbers("commits").await?.pop(),
        };
        let mut number = listed.unwrap_or(0);
        let mut last = self.read::<CommitRecord>("commits", number).await?;
        if last.is_none() && listed.is_some() {
            return Err(self.missing("commits", number));
        }
        while last.is_some() {
            number += 1;
            let Some(next) = self.read("commits", number).await? else { break };
            last = Some(next);
        }
        let Some((mut record, bytes)) = last else { return Ok(None) };
        // A writer that was killed may not have made its name durable: a refused write of the same name does.
        put_if_absent(self.store, &self.object("commits", record.batch.0), bytes.into()).await?;
        if record.offsets.is_none() {
            let batch = record.batch.0;
            let offsets = self.read("offsets", batch).await?;
            record.offsets = Some(offsets.ok_or_else(|| self.missing("offsets", batch))?.0);
        }
        Ok(Some(record))
    }

    fn missing(&self, log: &str, number: u64) -> Error {
        Error::data(format!("file in the checkpoint is missing: `{}`", self.object(log, number)))
    }

    fn torn(&self, done: Option<BatchId>, begun: u64) -> Error {
        let done = match done {
            Some(batch) => format!("`{}`", self.object("commits", batch.0)),
            None => format!("nothing in `{}`", self.directory("commits")),
        };
        Error::data(format!(
            "files are missing in the checkpoint: the last ones are `{}` and {done}; the first must be of the batch \
             after at most",
            self.object("offsets", begun)
        ))
    }

    async fn metadata(&self, new_id: impl FnOnce() -> QueryId) -> Result<Metadata> {
        let object = self.directory("metadata.json");
        let mut found = get_if_present(self.store, &object).await?;
        if found.is_none() && self.names("epochs").await?.is_empty() {
            let bytes = record::encode(&Metadata { id: new_id(), format: FORMAT })?;
            if put_if_absent(self.store, &object, bytes.clone().into()).await? {
                found = Some(bytes);
            }
        }
        if found.is_none() {
            found = get_if_present(self.store, &object).await?;
        }
        let missing = || Error::data(format!("file in the checkpoint is missing: `{object}`"));
        record::decode(&object, &found.ok_or_else(missing)?)
    }

    /// Claims an epoch above all others, and forgets claims of long ago.
    async fn claim_epoch(&self) -> Result<Epoch> {
        let listed = self.numbers("epochs").await?;
        let mut epoch = Epoch(listed.last().copied().unwrap_or(0)).next();
        while !self.claim(epoch).await? {
            epoch = epoch.next();
        }
        for old in listed.into_iter().take_while(|e| e + EPOCHS_KEPT <= epoch.0) {
            remove(self.store, &self.object("epochs", old)).await?;
        }
        Ok(epoch)
    }

    async fn claim(&self, epoch: Epoch) -> Result<bool> {
        let bytes = record::encode(&EpochRecord { epoch })?;
        put_if_absent(self.store, &self.object("epochs", epoch.0), bytes.into()).await
    }
}

//! The file log: which files were taken, and in which order.
//!
//! Files are numbered as they are taken; an offset is such a number. A *segment* is one object in the query's private
//! directory, sealed with a checksum and written once:
//!
//! ```text
//! files/00000000000000000000.2     level 2: the files 0..64      \ committed: only to know a path again
//! files/00000000000000000064.1     level 1: the files 64..72     /
//! files/00000000000000000072.0     level 0: files numbered at once    needed to read their batches, and again
//! files/00000000000000000075.0
//! ```
//! A segment is named by its first file, so of two runs that go on from the same place only one can write: the other
//! is fenced. When [`FANOUT`] committed segments of one level are together they are merged into one of the next level,
//! which leaves out what is older than the *horizon*; so each file is written again a logarithmic number of times, and
//! neither the log nor the cost of a batch grows with all files ever seen. A merge that was cut short leaves segments
//! that a longer one covers; they are removed when the log is opened.
//!
//! The horizon is `max_file_age` before the newest modification time taken (never after the clock). A path older than
//! it need not be remembered, since such a file is not taken any more when it appears. It moves when files are taken,
//! is written with them, and never goes back, whatever the clock does. A segment goes only once a later one says that
//! the log begins after it: so one that is missing is told from one that was forgotten.

use super::listing::FileEntry;
use crate::sources::store::{self, Created};
use acequia_core::{Error, Result, SourceContext};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Segments of one level that are merged into one of the next.
const FANOUT: usize = 8;

const PREFIX: &str = "files";

/// The contents of a segment.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    /// The number of the first file and of the one after the last; files left out by a merge count.
    first: u64,
    end: u64,
    /// The horizon after these files, in microseconds.
    horizon: i64,
    /// The file that the log begins with, as of this segment; earlier versions did not say.
    begins: Option<u64>,
    files: Vec<FileEntry>,
}

/// What is kept in memory of a segment.
#[derive(Debug, Clone)]
struct Segment {
    first: u64,
    end: u64,
    level: u32,
    newest: i64,
}

impl Segment {
    fn name(&self) -> String {
        format!("{PREFIX}/{:020}.{}", self.first, self.level)
    }
}

/// The paths that must not be taken again.
#[derive(Debug, Default)]
struct Seen {
    paths: HashSet<Arc<str>>,
    by_age: BTreeMap<i64, Vec<Arc<str>>>,
    newest: Option<i64>,
}

impl Seen {
    fn add(&mut self, file: &FileEntry) {
        let path: Arc<str> = file.path.as_str().into();
        if self.paths.insert(Arc::clone(&path)) {
            self.by_age.entry(file.modified).or_default().push(path);
        }
        self.newest = self.newest.max(Some(file.modified));
    }

    fn forget_before(&mut self, horizon: i64) {
        while let Some(oldest) = self.by_age.first_entry().filter(|e| *e.key() < horizon) {
            oldest.remove().iter().for_each(|path| {
                self.paths.remove(path);
            });
        }
    }
}

/// The log of one source.
#[derive(Debug)]
pub(crate) struct FileLog {
    context: SourceContext,
    max_age: Duration,
    /// All segments, in order.
    segments: Vec<Segment>,
    /// The files that are not committed yet, from number `first` on.
    window: VecDeque<FileEntry>,
    first: u64,
    seen: Seen,
    /// What is older is not taken, in microseconds.
    horizon: i64,
    /// The file that the log begins with, as far as a segment says.
    begins: Option<u64>,
    /// Objects to remove.
    garbage: Vec<String>,
}

impl FileLog {
    /// Reads the log.
    ///
    /// # Errors
    /// `Data` naming the segment that is damaged or missing.
    pub(crate) async fn open(context: SourceContext, max_age: Duration) -> Result<Self> {
        let mut log = Self {
            context,
            max_age,
            segments: vec![],
            window: VecDeque::new(),
            first: 0,
            seen: Seen::default(),
            horizon: i64::MIN,
            begins: None,
            garbage: vec![],
        };
        let mut found = vec![];
        for name in store::list(&log.context.store, PREFIX).await? {
            // Other names are not ours.
            if let Some(level) = parse_level(&name) {
                found.push((level, read(&log.context.store, &name).await?));
            }
        }
        // Of segments with the same first file the merged one comes first, and covers the others.
        found.sort_by_key(|(level, contents)| (contents.first, std::cmp::Reverse(*level)));
        for (level, contents) in found {
            log.load(level, contents)?;
        }
        if let (Some(begins), Some(first)) = (log.begins, log.segments.first())
            && first.first > begins
        {
            return Err(missing(begins));
        }
        log.seen.forget_before(log.horizon);
        Ok(log)
    }

    fn load(&mut self, level: u32, contents: Contents) -> Result<()> {
        let newest = contents.files.iter().map(|f| f.modified).max().unwrap_or(i64::MIN);
        let segment = Segment { first: contents.first, end: contents.end, level, newest };
        let end = self.end();
        if contents.first < end {
            // Covered by a merge; or written by a run that was fenced, under numbers that were taken already.
            self.garbage.push(segment.name());
            return Ok(());
        }
        if contents.first > end && !self.segments.is_empty() {
            return Err(missing(end));
        }
        self.horizon = self.horizon.max(contents.horizon);
        self.begins = self.begins.max(contents.begins);
        contents.files.iter().for_each(|file| self.seen.add(file));
        if level > 0 {
            self.window.clear();
        } else {
            self.window.extend(contents.files);
        }
        self.first = contents.end - self.window.len() as u64;
        self.segments.push(segment);
        Ok(())
    }

    /// The number of the next file that is taken.
    pub(crate) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.end)
    }

    /// The error that names what is missing after the end.
    pub(crate) fn ends_too_early(&self) -> Error {
        missing(self.end())
    }

    /// A file by its number.
    ///
    /// # Errors
    /// `Data` when it is committed, or was never taken.
    pub(crate) fn file(&self, number: u64) -> Result<&FileEntry> {
        let index = number.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
        index.and_then(|i| self.window.get(i)).ok_or_else(|| {
            if number >= self.end() {
                return self.ends_too_early();
            }
            Error::data(format!(
                "file log in the checkpoint does not have the file of this offset: number={number} first={} end={}",
                self.first,
                self.end()
            ))
        })
    }

    /// Whether a listed file is new: its path was never taken, and it is not older than what is remembered.
    pub(crate) fn is_new(&self, file: &FileEntry) -> bool {
        file.modified >= self.horizon && !self.seen.paths.contains(file.path.as_str())
    }

    /// The horizon once a file this new is taken.
    fn horizon_after(&self, newest: i64) -> i64 {
        // A file from the future must not make those of today too old.
        let newest = self.seen.newest.unwrap_or(i64::MIN).max(newest).min(self.context.clock.now().0);
        let age = i64::try_from(self.max_age.as_micros()).unwrap_or(i64::MAX);
        self.horizon.max(newest.saturating_sub(age))
    }

    /// Numbers files, durably.
    ///
    /// # Errors
    /// `Fenced` when another run was first.
    pub(crate) async fn take(&mut self, files: Vec<FileEntry>) -> Result<()> {
        let first = self.end();
        let newest = files.iter().map(|f| f.modified).max().unwrap_or(i64::MIN);
        let segment = Segment { first, end: first + files.len() as u64, level: 0, newest };
        let horizon = self.horizon_after(newest);
        let begins = Some(self.segments.get(self.expired()).map_or(first, |oldest| oldest.first));
        self.write(&segment, horizon, begins, &files).await?;
        self.segments.push(segment);
        (self.horizon, self.begins) = (horizon, begins);
        files.iter().for_each(|file| self.seen.add(file));
        self.window.extend(files);
        self.seen.forget_before(horizon);
        Ok(())
    }

    async fn write(
        &self,
        segment: &Segment,
        horizon: i64,
        begins: Option<u64>,
        files: &[FileEntry],
    ) -> Result<()> {
        let Segment { first, end, .. } = *segment;
        let contents = Contents { first, end, horizon, begins, files: files.to_vec() };
        let json = serde_json::to_vec(&contents).map_err(|e| Error::internal(format!("file log: {e}")))?;
        match store::create(&self.context.store, &segment.name(), store::seal(&json)).await? {
            Created::Now => Ok(()),
            Created::Before => Err(store::fenced(&segment.name())),
        }
    }

    /// Files below this number will not be read again.
    ///
    /// # Errors
    /// `Unavailable` when tidying up failed; the next commit goes on with it.
    pub(crate) async fn commit(&mut self, number: u64) -> Result<()> {
        let done = number.min(self.end()).saturating_sub(self.first);
        self.window.drain(..done as usize);
        self.first += done;
        for level in 0.. {
            if !self.merge(level).await? {
                break;
            }
        }
        self.drop_expired();
        while let Some(name) = self.garbage.last() {
            store::delete(&self.context.store, name).await?;
            self.garbage.pop();
        }
        Ok(())
    }

    /// Merges the committed segments of a level when there are enough.
    async fn merge(&mut self, level: u32) -> Result<bool> {
        let of_level = |s: &&Segment| s.level == level && s.end <= self.first;
        let Some(start) = self.segments.iter().position(|s| of_level(&s)) else { return Ok(false) };
        let merged: Vec<Segment> = self.segments[start..].iter().take_while(of_level).cloned().collect();
        let (Some(head), Some(tail)) = (merged.first(), merged.last()) else { return Ok(false) };
        if merged.len() < FANOUT {
            return Ok(false);
        }
        let horizon = self.horizon;
        let mut files = vec![];
        for segment in &merged {
            let contents = read(&self.context.store, &segment.name()).await?;
            files.extend(contents.files.into_iter().filter(|f| f.modified >= horizon));
        }
        let newest = files.iter().map(|f| f.modified).max().unwrap_or(i64::MIN);
        let segment = Segment { first: head.first, end: tail.end, level: level + 1, newest };
        self.write(&segment, horizon, self.begins, &files).await?;
        self.segments.splice(start..start + merged.len(), [segment]);
        self.garbage.extend(merged.iter().map(Segment::name));
        Ok(true)
    }

    /// How many of the oldest segments are committed, and everything in them too old; never the last, since it knows
    /// the next number.
    fn expired(&self) -> usize {
        let expired = |s: &&Segment| s.newest < self.horizon && s.end <= self.first;
        let last = self.segments.len().saturating_sub(1);
        self.segments[..last].iter().take_while(expired).count()
    }

    /// Expired segments go once a later one says that the log begins after them.
    fn drop_expired(&mut self) {
        let begins = self.begins.unwrap_or(0);
        let count = self.segments.iter().take_while(|s| s.end <= begins).count().min(self.expired());
        self.garbage.extend(self.segments.drain(..count).map(|s| s.name()));
    }
}

/// A segment that should be there.
fn missing(first: u64) -> Error {
    Error::data(format!(
        "file log in the checkpoint lacks the segment that begins with this file: object=`{PREFIX}/{first:020}`"
    ))
}

fn parse_level(name: &str) -> Option<u32> {
    let (number, level) = name.strip_prefix(PREFIX)?.strip_prefix('/')?.split_once('.')?;
    number.parse::<u64>().ok()?;
    level.parse().ok()
}

async fn read(store: &Arc<dyn ObjectStore>, name: &str) -> Result<Contents> {
    let contents = store::unseal(name, &store::read(store, name).await?)?;
    serde_json::from_slice(&contents)
        .map_err(|e| Error::data(format!("object in the checkpoint is damaged: object=`{name}`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::conformance::memory_context;
    use acequia_core::{ErrorKind, ManualClock, Timestamp};
    use object_store::{ObjectStoreExt, path::Path};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const AGE: Duration = Duration::from_micros(300);

    fn context() -> SourceContext {
        SourceContext { clock: Arc::new(ManualClock::at(Timestamp(i64::MAX))), ..memory_context() }
    }

    fn file(name: u64, modified: i64) -> FileEntry {
        FileEntry { path: format!("f{name}"), size: name, modified }
    }

    async fn names(context: &SourceContext) -> Vec<String> {
        store::list(&context.store, PREFIX).await.unwrap()
    }

    /// The log against a list of everything ever taken.
    #[tokio::test]
    async fn log_agrees_with_a_list_of_all_files_over_random_histories() {
        for seed in 0..20 {
            let mut random = SmallRng::seed_from_u64(seed);
            let context = context();
            let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
            let (mut all, mut committed): (Vec<FileEntry>, u64) = (vec![], 0);
            for round in 0..400 {
                match random.random_range(0..10) {
                    0 => log = FileLog::open(context.clone(), AGE).await.unwrap(),
                    1..5 => {
                        committed = random.random_range(committed..=all.len() as u64);
                        log.commit(committed).await.unwrap();
                    }
                    _ => {
                        let count = random.random_range(1..4);
                        let late = random.random_range(0..200);
                        let files: Vec<_> =
                            (0..count).map(|i| file(all.len() as u64 + i, round * 10 - late)).collect();
                        log.take(files.clone()).await.unwrap();
                        all.extend(files);
                    }
                }
                assert_eq!(log.end(), all.len() as u64);
                for number in committed..all.len() as u64 {
                    assert_eq!(log.file(number).unwrap(), &all[number as usize]);
                }
                assert!(all.iter().all(|file| !log.is_new(file)), "seed {seed}: no path is taken twice");
                assert!(log.is_new(&file(u64::MAX, round * 10)), "what is new and young is taken");
            }
            log.commit(all.len() as u64).await.unwrap();
            assert!(names(&context).await.len() < 4 * FANOUT, "{:?}", names(&context).await);
            assert!(log.seen.paths.len() < 200, "{}", log.seen.paths.len());
        }
    }

    #[tokio::test]
    async fn a_merge_that_was_cut_short_and_a_fenced_run_leave_only_garbage() {
        let context = context();
        let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
        let mut old = FileLog::open(context.clone(), AGE).await.unwrap();
        for i in 0..FANOUT as u64 {
            log.take(vec![file(i, 1)]).await.unwrap();
        }
        let mut left = vec![];
        for name in names(&context).await {
            left.push((name.clone(), store::read(&context.store, &name).await.unwrap()));
        }
        let fenced = old.take(vec![file(77, 1)]).await.unwrap_err();
        assert_eq!(fenced.kind(), ErrorKind::Fenced);
        log.commit(FANOUT as u64).await.unwrap();
        log.take(vec![file(8, 1)]).await.unwrap();
        assert_eq!(names(&context).await.len(), 2);

        // The removed segments are back, as if the merge had died before removing them, and the old run writes late.
        for (name, bytes) in left.split_off(1) {
            context.store.put(&Path::from(name), bytes.into()).await.unwrap();
        }
        old.take((70..90).map(|i| file(i, 1)).collect()).await.unwrap();
        let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
        assert_eq!((log.end(), log.file(8).unwrap()), (9, &file(8, 1)));
        assert!(
            !log.is_new(&file(3, 1)) && log.is_new(&file(77, 1)),
            "what a fenced run took was never taken"
        );
        log.commit(0).await.unwrap();
        assert_eq!(names(&context).await.len(), 2);
    }

    #[tokio::test]
    async fn a_missing_segment_is_an_error() {
        let context = context();
        let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
        for i in 0..3 {
            log.take(vec![file(i, 1)]).await.unwrap();
        }
        store::delete(&context.store, &names(&context).await[1]).await.unwrap();
        let error = FileLog::open(context, AGE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains("`files/00000000000000000001`"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_oldest_segment_is_told_from_a_forgotten_one() {
        let context = context();
        let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
        for i in 0..20 {
            log.take(vec![file(i, 100 * i as i64)]).await.unwrap();
            log.commit(i).await.unwrap();
        }
        let left = names(&context).await;
        assert!(!left[0].contains("/00000000000000000000."), "the oldest are forgotten: {left:?}");
        FileLog::open(context.clone(), AGE).await.unwrap();
        store::delete(&context.store, &left[0]).await.unwrap();
        let error = FileLog::open(context, AGE).await.unwrap_err();
        let name = left[0].split('.').next().unwrap();
        assert!(error.kind() == ErrorKind::Data && error.message().contains(name), "{error}");
    }

    #[tokio::test]
    async fn the_horizon_never_goes_back_and_never_passes_the_clock() {
        let clock = ManualClock::at(Timestamp(1_000));
        let context = SourceContext { clock: Arc::new(clock.clone()), ..memory_context() };
        let mut log = FileLog::open(context.clone(), AGE).await.unwrap();
        log.take(vec![file(0, 1_000_000)]).await.unwrap();
        assert!(log.is_new(&file(1, 700)) && !log.is_new(&file(1, 699)));
        clock.set(Timestamp(0));
        let log = FileLog::open(context, AGE).await.unwrap();
        assert!(log.is_new(&file(1, 700)) && !log.is_new(&file(1, 699)));
    }
}

//! The publish log: which batches are visible, and the files of each.
//!
//! ```text
//! _acequia/<query>/log/0-0000000041-0000000041.entry     level, first and last batch: one batch
//!                      1-0000000016-0000000031.entry     16 entries of level 0 in one
//!
//! {"version":1,"query":"...","files":2}
//! {"path":"day=1/part-...-0000000041-0000.parquet","rows":10,"bytes":1234}
//! {"path":...}
//! ```
//! An entry is written beside its name, synced and renamed into place, so it is there whole or not at all; its content
//! follows from the receipts of the batch, so two runs that race to write it write the same. Sixteen entries of a
//! level are merged into one of the next: the number of files is logarithmic in the number of batches, and an entry's
//! lines are copied once per level. The last published batch is read from the names alone. After a crash an entry may
//! lie beside the one it was merged into; an entry within a higher one is ignored and removed.
//!
//! A path may have several lines, when a file has grown: its rows are their sum, its size is that of the last line.

use super::disk::{self, Disk};
use acequia_core::{BatchId, Error, QueryId, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// So many entries of a level make one of the next.
const FAN_IN: usize = 16;
/// Entries up to this many bytes are merged line by line, larger ones are only joined.
const MAX_BYTES_IN_MEMORY: u64 = 8 << 20;
const SUFFIX: &str = ".entry";
const TEMPORARY: &str = ".tmp";

/// A file that holds committed rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedFile {
    /// Below the path of the sink, with `/` between directories.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// The size of the file.
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    query: QueryId,
    files: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    first: BatchId,
    last: BatchId,
    level: u32,
}

impl Entry {
    fn name(&self) -> String {
        format!("{}-{:010}-{:010}{SUFFIX}", self.level, self.first.0, self.last.0)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('-');
        let level = parts.next()?.parse().ok()?;
        let first = BatchId(parts.next()?.parse().ok()?);
        let last = BatchId(parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { first, last, level })
    }

    fn within(&self, other: &Self) -> bool {
        self.level < other.level && other.first <= self.first && self.last <= other.last
    }
}

/// The log of one query in one directory.
#[derive(Debug)]
pub(super) struct PublishLog {
    dir: PathBuf,
    query: QueryId,
    /// What temporary names end in, so that two runs never share one.
    run: String,
    disk: Disk,
}

impl PublishLog {
    pub(super) fn new(dir: PathBuf, query: QueryId, run: String, disk: Disk) -> Self {
        Self { dir, query, run, disk }
    }

    /// Makes durable what is there, since a run that crashed may not have come to it, and removes what is half done.
    pub(super) fn settle(&self) -> Result<()> {
        self.disk.sync_directory(&self.dir)?;
        let names = disk::list(&self.dir)?;
        let mut left = names.iter().filter(|name| name.ends_with(TEMPORARY));
        left.try_for_each(|name| self.disk.remove(&self.dir.join(name)))
    }

    /// The last batch that is recorded.
    pub(super) fn last(&self) -> Result<Option<BatchId>> {
        Ok(self.all_entries()?.into_iter().map(|e| e.last).max())
    }

    /// Reads the newest entry, so that a damaged log is found before anything is built on it.
    pub(super) fn check(&self) -> Result<()> {
        match self.all_entries()?.into_iter().max_by_key(|e| (e.last, e.level)) {
            Some(entry) => self.lines(&entry).map(drop),
            None => Ok(()),
        }
    }

    /// Records a batch, durably.
    pub(super) fn record(&self, batch: BatchId, files: &[CommittedFile]) -> Result<()> {
        let mut content = self.header(files.len() as u64)?;
        files.iter().try_for_each(|file| push_line(&mut content, file))?;
        let entry = Entry { first: batch, last: batch, level: 0 };
        let temporary = self.temporary(&entry);
        self.disk.write(&temporary, &content)?;
        self.install(&temporary, &entry)
    }

    /// Merges full levels and removes entries that are merged already.
    pub(super) fn compact(&self) -> Result<()> {
        let all = self.all_entries()?;
        let (mut live, merged): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|entry| !all.iter().any(|other| entry.within(other)));
        self.remove(&merged)?;
        let mut level = 0;
        while live.iter().any(|e| e.level >= level) {
            let full: Vec<_> = live.iter().filter(|e| e.level == level).cloned().collect();
            if full.len() >= FAN_IN {
                live.retain(|e| e.level != level);
                live.push(self.merge(&full)?);
            }
            level += 1;
        }
        Ok(())
    }

    /// All files, in the order in which they were first published.
    pub(super) fn files(&self) -> Result<Vec<CommittedFile>> {
        let all = self.all_entries()?;
        let mut files = IndexMap::new();
        for entry in all.iter().filter(|entry| !all.iter().any(|other| entry.within(other))) {
            self.lines(entry)?.into_iter().for_each(|file| add(&mut files, file));
        }
        Ok(files.into_values().collect())
    }

    fn merge(&self, entries: &[Entry]) -> Result<Entry> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(Error::internal("merge of no log entries"));
        };
        let merged = Entry { first: first.first, last: last.last, level: first.level + 1 };
        let temporary = self.temporary(&merged);
        let sizes = entries.iter().map(|e| Ok(disk::size(&self.path(e))?.unwrap_or(0)));
        if sizes.sum::<Result<u64>>()? <= MAX_BYTES_IN_MEMORY {
            let mut files = IndexMap::new();
            for entry in entries {
                self.lines(entry)?.into_iter().for_each(|file| add(&mut files, file));
            }
            let mut content = self.header(files.len() as u64)?;
            files.values().try_for_each(|file| push_line(&mut content, file))?;
            self.disk.write(&temporary, &content)?;
        } else {
            self.join(entries, &temporary)?;
        }
        self.install(&temporary, &merged)?;
        self.remove(entries)?;
        Ok(merged)
    }

    /// Writes the lines of large entries one after the other, without holding them.
    fn join(&self, entries: &[Entry], to: &Path) -> Result<()> {
        let mut readers = vec![];
        let mut files = 0;
        for entry in entries {
            let (header, reader) = self.read_header(entry)?;
            files += header.files;
            readers.push(reader);
        }
        self.disk.remove(to)?;
        let file = self.disk.create_new(to)?;
        let file = file.ok_or_else(|| Error::fenced(format!("another run writes `{}`", to.display())))?;
        let mut out = BufWriter::new(file);
        let write = |e| disk::failed("write", to, e);
        out.write_all(&self.header(files)?).map_err(write)?;
        for mut reader in readers {
            io::copy(&mut reader, &mut out).map_err(write)?;
        }
        let file = out.into_inner().map_err(|e| write(e.into_error()))?;
        file.sync().map_err(|e| disk::failed("sync", to, e))
    }

    fn install(&self, temporary: &Path, entry: &Entry) -> Result<()> {
        self.disk.rename(temporary, &self.path(entry))?;
        self.disk.sync_directory(&self.dir)
    }

    fn remove(&self, entries: &[Entry]) -> Result<()> {
        entries.iter().try_for_each(|entry| self.disk.remove(&self.path(entry)))
    }

    fn all_entries(&self) -> Result<Vec<Entry>> {
        let mut entries: Vec<_> =
            disk::list(&self.dir)?.iter().filter_map(|name| Entry::parse(name)).collect();
        entries.sort();
        Ok(entries)
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        self.dir.join(entry.name())
    }

    fn temporary(&self, entry: &Entry) -> PathBuf {
        self.dir.join(format!("{}.{}{TEMPORARY}", entry.name(), self.run))
    }

    fn header(&self, files: u64) -> Result<Vec<u8>> {
        let mut content = vec![];
        push_line(&mut content, &Header { version: 1, query: self.query.clone(), files })?;
        Ok(content)
    }

    fn read_header(&self, entry: &Entry) -> Result<(Header, BufReader<File>)> {
        let path = self.path(entry);
        let mut reader = BufReader::new(File::open(&path).map_err(|e| disk::failed("open", &path, e))?);
        let mut line = String::new();
        reader.read_line(&mut line).map_err(|e| disk::failed("read", &path, e))?;
        let header: Header = serde_json::from_str(&line).map_err(|e| damaged(&path, &e.to_string()))?;
        if header.version != 1 {
            return Err(Error::unsupported(format!(
                "publish log was written by a newer version: `{}`",
                path.display()
            )));
        }
        Ok((header, reader))
    }

    fn lines(&self, entry: &Entry) -> Result<Vec<CommittedFile>> {
        let path = self.path(entry);
        let (header, reader) = self.read_header(entry)?;
        let files = reader.lines().map(|line| {
            let line = line.map_err(|e| damaged(&path, &e.to_string()))?;
            serde_json::from_str(&line).map_err(|e| damaged(&path, &e.to_string()))
        });
        let files = files.collect::<Result<Vec<CommittedFile>>>()?;
        if files.len() as u64 != header.files {
            return Err(damaged(&path, &format!("{} files of {}", files.len(), header.files)));
        }
        Ok(files)
    }
}

fn add(files: &mut IndexMap<String, CommittedFile>, file: CommittedFile) {
    match files.get_mut(&file.path) {
        Some(known) => {
            known.rows += file.rows;
            known.bytes = file.bytes;
        }
        None => drop(files.insert(file.path.clone(), file)),
    }
}

fn push_line(content: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *content, value).map_err(|e| Error::internal(e.to_string()))?;
    content.push(b'\n');
    Ok(())
}

fn damaged(path: &Path, how: &str) -> Error {
    Error::data(format!("publish log is damaged: `{}`: {how}", path.display()))
}

/// The files below `path` that hold the committed rows of a query, in the order in which they were first published.
///
/// A reader does not need this: the directory holds no other files. It is for those who want a batch's files, sizes or
/// row counts without listing it.
///
/// # Errors
/// `Data` naming a damaged entry.
pub fn committed_files(path: &Path, query: &QueryId) -> Result<Vec<CommittedFile>> {
    let dir = super::query_directory(path, query).join(super::LOG);
    fs::metadata(path).map_err(|e| disk::failed("look at", path, e))?;
    PublishLog::new(dir, query.clone(), String::new(), Disk(acequia_core::disk::Disk::default())).files()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path) -> PublishLog {
        PublishLog::new(
            dir.to_owned(),
            QueryId("q".into()),
            "1".into(),
            Disk(acequia_core::disk::Disk::default()),
        )
    }

    fn file(path: &str, rows: u64, bytes: u64) -> CommittedFile {
        CommittedFile { path: path.into(), rows, bytes }
    }

    #[test]
    fn number_of_entries_is_logarithmic_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        let mut most = 0;
        for batch in 0..1000 {
            log.record(BatchId(batch), &[file(&format!("f{batch}"), batch, 1)]).unwrap();
            log.compact().unwrap();
            assert_eq!(log.last().unwrap(), Some(BatchId(batch)));
            most = most.max(disk::list(dir.path()).unwrap().len());
        }
        assert!(most <= 15 * 3, "{most}");
        let files = log.files().unwrap();
        assert_eq!(files, (0..1000).map(|i| file(&format!("f{i}"), i, 1)).collect::<Vec<_>>());
    }

    #[test]
    fn a_grown_file_is_one_file_with_the_rows_of_all_its_batches() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        for batch in 0..40 {
            log.record(BatchId(batch), &[file("grows", 2, 100 + batch)]).unwrap();
            log.compact().unwrap();
        }
        assert_eq!(log.files().unwrap(), [file("grows", 80, 139)]);
    }

    #[test]
    fn large_entries_are_joined() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        for batch in 0..3 {
            log.record(BatchId(batch), &[file("a", 1, batch), file(&format!("f{batch}"), 1, 1)]).unwrap();
        }
        let entries = log.all_entries().unwrap();
        let to = dir.path().join("1-0000000000-0000000002.entry");
        log.join(&entries, &to).unwrap();
        assert_eq!(log.files().unwrap()[0], file("a", 3, 2));
        assert_eq!(log.files().unwrap().len(), 4);
        log.compact().unwrap();
        assert_eq!(disk::list(dir.path()).unwrap(), ["1-0000000000-0000000002.entry"]);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        log.record(BatchId(3), &[file("f", 1, 1)]).unwrap();
        let path = dir.path().join("0-0000000003-0000000003.entry");
        let whole = fs::read(&path).unwrap();
        for cut in [0, 10, whole.len() - 3, whole.iter().position(|b| *b == b'\n').unwrap() + 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            let error = log.check().unwrap_err();
            assert_eq!(error.kind(), acequia_core::ErrorKind::Data, "{cut}");
            assert!(error.message().contains("0-0000000003"), "{error}");
        }
    }
}

//! Which files there are: those below a directory, those that match a pattern, or one.
//!
//! Names that begin with `.` or `_` are hidden, as in Spark and Hive (`_SUCCESS`, `_staging/`), but for partition
//! directories (`_x=1`). Links are followed. A location is a path or a `file://` URL; [`Location::parse`] is the place
//! where other schemes come in.

use acequia_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Directories below directories: more are a link that goes round.
const MAX_DEPTH: usize = 64;

/// A file as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// The absolute path.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// The time of its last change, in microseconds.
    pub(crate) modified: i64,
}

impl FileEntry {
    fn new(path: &Path, metadata: &Metadata) -> Result<Self> {
        let name = path
            .to_str()
            .ok_or_else(|| Error::data(format!("file name is not UTF-8: file=`{}`", path.display())))?;
        Ok(Self { path: name.to_string(), size: metadata.len(), modified: modified(metadata) })
    }

    /// Makes sure that the file is still as it was listed.
    ///
    /// # Errors
    /// `Data` when it was changed or removed: the rows of a batch would not be the same again.
    pub(crate) fn verify(&self) -> Result<()> {
        match std::fs::metadata(&self.path) {
            Ok(now) if now.len() == self.size && modified(&now) == self.modified => Ok(()),
            Ok(now) => Err(Error::data(format!(
                "file was changed after it was taken: file=`{}` size={} now={}; files must appear whole and stay",
                self.path,
                self.size,
                now.len()
            ))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::data(format!(
                "file was removed before its rows were committed: file=`{}`; files must stay",
                self.path
            ))),
            Err(e) => Err(Error::from(e).context(format!("file=`{}`", self.path))),
        }
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(&self.path)
    }
}

fn modified(metadata: &Metadata) -> i64 {
    let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
    match metadata.modified().map(|t| t.duration_since(UNIX_EPOCH)) {
        Ok(Ok(after)) => micros(after),
        Ok(Err(before)) => -micros(before.duration()),
        Err(_) => 0,
    }
}

/// Where to look.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The part before any wildcard: partition directories are looked for below it.
    pub(crate) base: PathBuf,
    pattern: Option<glob::Pattern>,
}

impl Location {
    /// Reads the option `path`.
    ///
    /// # Errors
    /// `Unsupported` for a store that is not there yet, naming its scheme; `Invalid` for a bad pattern.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let path = match text.split_once("://") {
            None => PathBuf::from(text),
            Some(("file", _)) => url::Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .ok_or_else(|| Error::invalid(format!("not a file URL: `{text}`; write file:///path")))?,
            Some((scheme, _)) => {
                return Err(Error::unsupported(format!(
                    "files can be read from local disk only: scheme=`{scheme}` path=`{text}`"
                )));
            }
        };
        let path =
            std::path::absolute(&path).map_err(|e| Error::from(e).context(format!("path `{text}`")))?;
        Self::of(path, text)
    }

    fn of(path: PathBuf, text: &str) -> Result<Self> {
        let wild = |part: &Path| part.to_string_lossy().contains(['*', '?', '[']);
        // A file of that very name wins over the pattern that its name would be.
        if path.exists() || !wild(&path) {
            return Ok(Self { base: path, pattern: None });
        }
        let base = path.ancestors().skip(1).find(|a| !wild(a)).unwrap_or(Path::new("/")).to_path_buf();
        let pattern = glob::Pattern::new(&path.to_string_lossy())
            .map_err(|e| Error::invalid(format!("bad pattern in path: `{text}`: {}", e.msg)))?;
        Ok(Self { base, pattern: Some(pattern) })
    }

    /// Every file, in no order.
    ///
    /// # Errors
    /// `Invalid` when there is nothing at the path; `Unavailable` when a directory cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<FileEntry>> {
        let named = |e: std::io::Error| Error::from(e).context(format!("path `{}`", self.base.display()));
        let metadata = std::fs::metadata(&self.base).map_err(named)?;
        let mut found = vec![];
        if metadata.is_file() {
            found.push(FileEntry::new(&self.base, &metadata)?);
        } else {
            self.walk(&self.base, 0, &mut found)?;
        }
        Ok(found)
    }

    fn walk(&self, directory: &Path, depth: usize, found: &mut Vec<FileEntry>) -> Result<()> {
        if depth > MAX_DEPTH {
            let path = directory.display();
            return Err(Error::invalid(format!(
                "directories are too deep, perhaps a link that goes round: path=`{path}`"
            )));
        }
        let named = |e: std::io::Error| Error::from(e).context(format!("path `{}`", directory.display()));
        for entry in std::fs::read_dir(directory).map_err(named)? {
            let path = entry.map_err(named)?.path();
            if is_hidden(&path) {
                continue;
            }
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.walk(&path, depth + 1, found)?,
                Ok(metadata) if metadata.is_file() && self.matches(&path) => {
                    found.push(FileEntry::new(&path, &metadata)?);
                }
                Ok(_) => {}
                // Removed, or a broken link, while we were looking.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::from(e).context(format!("path `{}`", path.display()))),
            }
        }
        Ok(())
    }

    /// Whether the pattern matches the file, or a directory that it is in.
    fn matches(&self, path: &Path) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        // `*` stays within one part of the path.
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let below_base = path.ancestors().take_while(|a| *a != self.base);
        below_base.into_iter().any(|part| pattern.matches_path_with(part, options))
    }

    /// The `key=value` directories between the base and a file.
    pub(crate) fn partitions(&self, path: &str) -> Vec<(String, Option<String>)> {
        let Ok(below) = Path::new(path).strip_prefix(&self.base) else { return vec![] };
        let Some(directories) = below.parent() else { return vec![] };
        let parts = directories.iter().filter_map(|part| part.to_str()?.split_once('='));
        parts.map(|(key, value)| (unescape(key), partition_value(value))).collect()
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

fn partition_value(value: &str) -> Option<String> {
    (value != "__HIVE_DEFAULT_PARTITION__").then(|| unescape(value))
}

/// Replaces `%XX`, as Hive and Spark write characters that a path cannot have.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| {
            u8::from_str_radix(std::str::from_utf8(hex).ok().filter(|h| !h.starts_with('+'))?, 16).ok()
        });
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_stores_are_refused_by_their_scheme() {
        let error = Location::parse("s3://bucket/x").unwrap_err();
        assert_eq!(error.kind(), acequia_core::ErrorKind::Unsupported);
        assert!(error.message().contains("scheme=`s3`"));
    }

    #[test]
    fn partitions_are_read_from_directories_only() {
        let location = Location::parse("/data").unwrap();
        let found = location
            .partitions("/data/day=2020-01-01/x/city=S%C3%A3o%20P%2F/n=__HIVE_DEFAULT_PARTITION__/a=b");
        let wanted = [("day", Some("2020-01-01")), ("city", Some("São P/")), ("n", None)];
        assert_eq!(found, wanted.map(|(k, v)| (k.to_string(), v.map(str::to_string))));
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%+1%zz%41"), "%+1%zzA");
    }
}

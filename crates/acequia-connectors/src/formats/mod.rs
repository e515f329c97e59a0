//! From bytes to Arrow.
//!
//! *Row formats* (`json`, `csv`, `text`) are cut into records first ([`framing`]), then decoded block by block by Arrow's
//! own decoders ([`rows`]); a block that does not decode is halved until the malformed record is found, so the fast path
//! pays nothing for `on_error`. *Columnar formats* (`parquet`, `arrow`) are read by their own readers ([`columnar`]).
//! [`file`] puts both over a local file, whole or between two [`Cut`]s, and [`infer`] finds the columns of a file.

pub(crate) mod columnar;
pub(crate) mod compression;
pub(crate) mod file;
pub(crate) mod framing;
pub(crate) mod infer;
pub(crate) mod rows;

use acequia_core::{Error, Options, Result};
use serde::{Deserialize, Serialize};

/// Rows of one Arrow batch, at most.
pub(crate) const BATCH_ROWS: usize = 8192;

/// The format of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    Rows(RowFormat),
    Parquet,
    Arrow,
}

/// A format of records one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RowFormat {
    /// One JSON object a line.
    Json,
    Csv(CsvOptions),
    /// One line, one row.
    Text,
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvOptions {
    /// Whether a file begins with the columns' names.
    pub(crate) header: bool,
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) escape: Option<u8>,
    /// What stands for NULL; an empty field when nothing is said.
    pub(crate) null_value: Option<String>,
}

/// What becomes of a malformed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    /// The query stops, naming the place.
    Fail,
    /// It is left out and counted.
    Skip,
}

/// A place between two records of a file; by default its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// Bytes of the decompressed file before it (row formats), or Arrow batches (`arrow`).
    pub(crate) at: u64,
    /// Rows after `at` and before it (columnar formats).
    pub(crate) skip: u64,
    /// The line, counted from 0 (row formats).
    pub(crate) line: u64,
}

impl RowFormat {
    /// The format of this word, with its options taken; CSV has a header line unless the option says otherwise.
    pub(crate) fn take(word: &str, header: HeaderLine, options: &mut Options) -> Result<Option<Self>> {
        match word {
            "json" => Ok(Some(Self::Json)),
            "text" => Ok(Some(Self::Text)),
            "csv" => Ok(Some(Self::Csv(CsvOptions::take(header, options)?))),
            _ => Ok(None),
        }
    }
}

/// Whether CSV can have a header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderLine {
    /// It has, unless the option `header` says otherwise.
    Optional,
    /// It has not, as on a socket.
    Never,
}

impl CsvOptions {
    fn take(header: HeaderLine, options: &mut Options) -> Result<Self> {
        let taken = Self {
            header: header == HeaderLine::Optional && options.take_bool("header", true)?,
            delimiter: take_byte(options, "delimiter")?.unwrap_or(b','),
            quote: take_byte(options, "quote")?.unwrap_or(b'"'),
            escape: take_byte(options, "escape")?,
            null_value: options.take("null_value")?,
        };
        if taken.delimiter == taken.quote || matches!(taken.delimiter, b'\r' | b'\n') {
            let written = (taken.delimiter as char).to_string();
            return Err(options.bad_value("delimiter", &written, "other than the quote and a line's end"));
        }
        // An escape that is the quote is what doubling quotes means.
        Ok(Self { escape: taken.escape.filter(|e| *e != taken.quote), ..taken })
    }
}

fn take_byte(options: &mut Options, key: &str) -> Result<Option<u8>> {
    let Some(value) = options.take(key)? else { return Ok(None) };
    match value.as_bytes() {
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        b"\\t" => Ok(Some(b'\t')),
        _ => Err(options.bad_value(key, &value, "one ASCII character, or \\t")),
    }
}

impl OnError {
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        let word = options.take_word("on_error", &["fail", "skip"])?;
        Ok(if word == "skip" { Self::Skip } else { Self::Fail })
    }
}

/// The error about a record that cannot be read.
pub(crate) fn malformed(place: &str, line: u64, reason: impl std::fmt::Display) -> Error {
    Error::data(format!(
        "malformed record: {place} line={line}: {reason}; mend it, or leave such records out with on_error = 'skip'"
    ))
}

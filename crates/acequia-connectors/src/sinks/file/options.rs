//! The options of the `parquet` and `file` sinks.

use acequia_core::{Error, Options, Result};
use std::fmt;
use std::path::PathBuf;

/// How large a file grows before the next is begun, unless `target_file_size` says otherwise.
const DEFAULT_TARGET_BYTES: u64 = 128 << 20;

/// The format of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Json,
    /// CSV after RFC 4180.
    Csv,
    /// Arrow IPC files.
    Arrow,
}

impl Format {
    const ALL: [Self; 4] = [Self::Parquet, Self::Json, Self::Csv, Self::Arrow];

    /// The word in SQL, which is also the suffix of file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the content of files is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Snappy,
    Zstd,
    Gzip,
}

impl Compression {
    fn take(options: &mut Options, format: Format) -> Result<Self> {
        // The first is the default. Parquet's zstd is read everywhere; text is left readable.
        let words: &[&str] = match format {
            Format::Parquet => &["zstd", "snappy", "none"],
            Format::Json | Format::Csv => &["none", "gzip", "zstd"],
            Format::Arrow => &["none"],
        };
        Ok(match options.take_word("compression", words)? {
            "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            "gzip" => Self::Gzip,
            _ => Self::None,
        })
    }
}

/// All that says how rows become bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatOptions {
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) header: bool,
    pub(super) delimiter: char,
}

impl FormatOptions {
    /// What file names end in.
    pub(super) fn suffix(&self) -> String {
        let text = matches!(self.format, Format::Json | Format::Csv);
        let compression = match self.compression {
            Compression::Gzip if text => ".gz",
            Compression::Zstd if text => ".zst",
            _ => "",
        };
        format!(".{}{compression}", self.format)
    }
}

/// The options of a file sink, checked.
#[derive(Debug, Clone)]
pub(super) struct FileOptions {
    pub(super) path: PathBuf,
    pub(super) format: FormatOptions,
    pub(super) partition_by: Vec<String>,
    pub(super) target_bytes: u64,
    pub(super) compact: bool,
}

impl FileOptions {
    pub(super) fn take(options: &mut Options, fixed: Option<Format>) -> Result<Self> {
        let path = take_path(options)?;
        let format = take_format(options, fixed)?;
        let compression = Compression::take(options, format)?;
        let csv = format == Format::Csv;
        let header = if csv { options.take_bool("header", true)? } else { false };
        let delimiter = if csv { take_delimiter(options)? } else { ',' };
        Ok(Self {
            path,
            format: FormatOptions { format, compression, header, delimiter },
            partition_by: options.take_names("partition_by")?.unwrap_or_default(),
            target_bytes: take_bytes(options, "target_file_size")?.unwrap_or(DEFAULT_TARGET_BYTES),
            compact: options.take_bool("compact", false)?,
        })
    }
}

fn take_path(options: &mut Options) -> Result<PathBuf> {
    let path = options.require("path")?;
    if path.trim().is_empty() {
        return Err(options.bad_value("path", &path, "a directory"));
    }
    let Some((scheme, _)) = path.split_once("://") else { return Ok(PathBuf::from(path)) };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::unsupported(format!(
            "file sink cannot write to `{scheme}`: path=`{path}`; give a local directory or a file:// url"
        )));
    }
    let local = url::Url::parse(&path).ok().and_then(|url| url.to_file_path().ok());
    local.ok_or_else(|| options.bad_value("path", &path, "a local file:// url, as file:///data/out"))
}

fn take_format(options: &mut Options, fixed: Option<Format>) -> Result<Format> {
    if fixed.is_none() && !options.contains("format") {
        options.require("format")?;
    }
    let written = options.peek("format").unwrap_or_default().to_string();
    let default = fixed.unwrap_or(Format::Parquet).as_str();
    let mut words = vec![default];
    words.extend(Format::ALL.map(Format::as_str).into_iter().filter(|w| *w != default));
    let word = options.take_word("format", &words)?;
    let format = Format::ALL.into_iter().find(|f| f.as_str() == word).unwrap_or(Format::Parquet);
    match fixed {
        Some(fixed) if fixed != format => Err(Error::invalid(format!(
            "connector `{fixed}` writes {fixed} only: format=`{written}`; use connector = 'file'"
        ))),
        _ => Ok(format),
    }
}

fn take_delimiter(options: &mut Options) -> Result<char> {
    let Some(value) = options.take("delimiter")? else { return Ok(',') };
    let text = if value == "\\t" { "\t" } else { value.as_str() };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii() && !matches!(c, '"' | '\n' | '\r' | '\0') => Ok(c),
        _ => Err(options.bad_value("delimiter", &value, "one ASCII character, no quote or line end")),
    }
}

fn take_bytes(options: &mut Options, key: &str) -> Result<Option<u64>> {
    let Some(value) = options.take(key)? else { return Ok(None) };
    let bytes = parse_bytes(&value).filter(|bytes| *bytes > 0);
    let bytes =
        bytes.ok_or_else(|| options.bad_value(key, &value, "a size of at least one byte, as `128MB`"));
    bytes.map(Some)
}

/// A number with an optional unit, powers of 1024.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases =
            [("128MB", Some(128 << 20)), ("1 gib", Some(1 << 30)), ("7", Some(7)), ("2k", Some(2048))];
        for (text, bytes) in cases.into_iter().chain([("MB", None), ("1.5GB", None), ("99999999999G", None)])
        {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }
}

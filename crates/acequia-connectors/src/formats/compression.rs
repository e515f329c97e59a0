//! Compressed files: gzip and Zstandard, known by their extension or by option.

use acequia_core::{Options, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, copy, sink};
use std::path::Path;

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As the extension says: `.gz`, `.zst`, anything else is not compressed.
    Auto,
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        Ok(match options.take_word("compression", &["auto", "none", "gzip", "zstd"])? {
            "none" => Self::None,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => Self::Auto,
        })
    }

    fn of(self, path: &Path) -> Self {
        match (self, path.extension().and_then(|e| e.to_str())) {
            (Self::Auto, Some("gz" | "gzip")) => Self::Gzip,
            (Self::Auto, Some("zst" | "zstd")) => Self::Zstd,
            (Self::Auto, _) => Self::None,
            (given, _) => given,
        }
    }

    /// The decompressed bytes of a file from a position on. A compressed file is decompressed from its beginning,
    /// since neither format can be entered in the middle.
    pub(crate) fn open(self, path: &Path, from: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(path)?;
        let mut reader: Box<dyn Read + Send> = match self.of(path) {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
            Self::None | Self::Auto => {
                file.seek(SeekFrom::Start(from))?;
                return Ok(Box::new(file));
            }
        };
        copy(&mut (&mut reader).take(from), &mut sink())?;
        Ok(reader)
    }
}

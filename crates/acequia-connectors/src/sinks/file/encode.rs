//! Rows into the bytes of a file, and a published file's rows read back to be written again.

use super::csv::{self, CsvEncoder};
use super::disk;
use super::json;
use super::options::{Compression, Format, FormatOptions};
use acequia_core::{Error, Result};
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use arrow::json::LineDelimitedWriter;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Rows of a Parquet row group: large enough to compress and skip well, small enough to read in parallel.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Bytes of a Parquet row group, as they are buffered until it is written.
const ROW_GROUP_BYTES: usize = 64 << 20;
const ZSTD_LEVEL: i32 = 3;

/// A file being encoded.
pub(super) enum Encoder<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<BufWriter<W>>>),
    Json(LineDelimitedWriter<Compressor<W>>),
    Csv(CsvEncoder<Compressor<W>>),
}

impl<W: Write + Send> Encoder<W> {
    pub(super) fn new(options: &FormatOptions, schema: &SchemaRef, out: W) -> Result<Self> {
        Ok(match options.format {
            Format::Parquet => Self::Parquet(Box::new(
                ArrowWriter::try_new(out, Arc::clone(schema), Some(parquet_properties(options.compression)?))
                    .map_err(parquet_error)?,
            )),
            Format::Arrow => {
                Self::Arrow(Box::new(FileWriter::try_new(BufWriter::new(out), schema).map_err(write_error)?))
            }
            Format::Json => Self::Json(json::writer(Compressor::new(options.compression, out)?)),
            Format::Csv => {
                Self::Csv(CsvEncoder::new(options, schema, Compressor::new(options.compression, out)?)?)
            }
        })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(rows).map_err(parquet_error),
            Self::Arrow(writer) => writer.write(rows).map_err(write_error),
            Self::Json(writer) => writer.write(rows).map_err(write_error),
            Self::Csv(writer) => writer.write(rows),
        }
    }

    /// Bytes held in memory that [`Encoder::flush`] would write.
    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Parquet(writer) => writer.memory_size(),
            _ => 0,
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.flush().map_err(parquet_error),
            _ => Ok(()),
        }
    }

    /// The file, and what is not in it yet (an estimate).
    pub(super) fn inner(&self) -> (&W, usize) {
        match self {
            Self::Parquet(writer) => (writer.inner(), writer.in_progress_size()),
            Self::Arrow(writer) => (writer.get_ref().get_ref(), 0),
            Self::Json(writer) => (writer.get_ref().get_ref(), 0),
            Self::Csv(writer) => (writer.get_ref().get_ref(), 0),
        }
    }

    /// Writes what ends the file, and all that is buffered.
    pub(super) fn finish(&mut self) -> Result<()> {
        match self {
            Self::Parquet(writer) => {
                writer.finish().map_err(parquet_error)?;
                Ok(writer.sync()?)
            }
            Self::Arrow(writer) => {
                writer.finish().map_err(write_error)?;
                Ok(writer.get_mut().flush()?)
            }
            Self::Json(writer) => {
                writer.finish().map_err(write_error)?;
                Ok(writer.get_mut().finish()?)
            }
            Self::Csv(writer) => Ok(writer.get_mut().finish()?),
        }
    }
}

fn parquet_properties(compression: Compression) -> Result<WriterProperties> {
    let codec = match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).map_err(parquet_error)?),
        Compression::Gzip => return Err(Error::internal("gzip is no codec of the parquet sink")),
    };
    Ok(WriterProperties::builder()
        .set_compression(codec)
        // What Parquet has a type or a name of its own for is written so, for readers that do not know Arrow.
        .set_coerce_types(true)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(concat!("acequia ", env!("CARGO_PKG_VERSION")).to_string())
        .build())
}

/// Keeps the kind of an I/O error (a full disk, say) that the Parquet writer wraps.
fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(io) => Error::from(*io),
            Err(cause) => Error::internal(format!("parquet: {cause}")),
        },
        ParquetError::NYI(what) => Error::unsupported(format!("parquet cannot hold this: {what}")),
        ParquetError::ArrowError(what) => Error::unsupported(format!("parquet cannot hold this: {what}")),
        other => Error::data(format!("parquet: {other}")).with_source(other),
    }
}

fn write_error(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, cause) => Error::from(cause),
        other => Error::from(other),
    }
}

/// A stream that is compressed on its way to the file.
pub(super) enum Compressor<W: Write> {
    Plain(BufWriter<W>),
    Gzip(GzEncoder<BufWriter<W>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<W>>),
}

impl<W: Write> Compressor<W> {
    fn new(compression: Compression, out: W) -> Result<Self> {
        let out = BufWriter::new(out);
        Ok(match compression {
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?),
            Compression::None | Compression::Snappy => Self::Plain(out),
        })
    }

    fn get_ref(&self) -> &W {
        match self {
            Self::Plain(out) => out.get_ref(),
            Self::Gzip(out) => out.get_ref().get_ref(),
            Self::Zstd(out) => out.get_ref().get_ref(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => {
                out.try_finish()?;
                out.get_mut().flush()
            }
            Self::Zstd(out) => {
                out.do_finish()?;
                out.get_mut().flush()
            }
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

/// What a published file is read back as.
pub(super) enum Published {
    /// Its rows.
    Rows(Box<dyn Iterator<Item = Result<RecordBatch>> + Send>),
    /// Its text, head line of CSV left out.
    Text(Box<dyn Read + Send>),
}

/// Opens a published file; `None` when it is gone or has other columns than the query has now.
///
/// # Errors
/// `Data` when the file is damaged.
pub(super) fn open(options: &FormatOptions, schema: &SchemaRef, path: &Path) -> Result<Option<Published>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| disk::failed("open", path, e))?,
    };
    let named = |e: Error| e.context(format!("cannot read `{}`", path.display()));
    match options.format {
        Format::Parquet => open_parquet(schema, file).map_err(|e| named(parquet_error(e))),
        Format::Arrow => open_arrow(schema, file).map_err(|e| named(e.into())),
        Format::Json => Ok(Some(Published::Text(decompress(options.compression, file)?))),
        Format::Csv => {
            let mut text = BufReader::new(decompress(options.compression, file)?);
            let head = csv::head_line(options, schema)?;
            let same = same_head(&mut text, &head).map_err(|e| disk::failed("read", path, e))?;
            Ok(same.then(|| Published::Text(Box::new(text) as _)))
        }
    }
}

fn open_parquet(schema: &SchemaRef, file: File) -> Result<Option<Published>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    if !same_columns(builder.schema(), schema) {
        return Ok(None);
    }
    Ok(Some(published_rows(builder.build()?, schema)))
}

fn open_arrow(schema: &SchemaRef, file: File) -> Result<Option<Published>, ArrowError> {
    let reader = FileReader::try_new_buffered(file, None)?;
    if !same_columns(&reader.schema(), schema) {
        return Ok(None);
    }
    Ok(Some(published_rows(reader, schema)))
}

/// Whether the columns are the same but for the names inside of nested types: Parquet has its own for lists and maps.
fn same_columns(left: &Schema, right: &Schema) -> bool {
    let same = |(l, r): (&FieldRef, &FieldRef)| {
        l.name() == r.name()
            && l.is_nullable() == r.is_nullable()
            && l.data_type().equals_datatype(r.data_type())
    };
    left.fields().len() == right.fields().len() && left.fields().iter().zip(right.fields()).all(same)
}

fn published_rows(
    rows: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    schema: &SchemaRef,
) -> Published {
    let schema = Arc::clone(schema);
    let rows = rows.map(move |rows| {
        let rows = rows?;
        let columns = rows.columns().iter().zip(schema.fields());
        let columns =
            columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    Published::Rows(Box::new(rows))
}

fn same_head(text: &mut impl BufRead, head: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; head.len()];
    match text.read_exact(&mut found) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| found == head),
    }
}

fn decompress(compression: Compression, file: File) -> Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        Compression::None | Compression::Snappy => Box::new(file),
    })
}

impl<W: Write + Send> Encoder<W> {
    /// Writes a published file's content first.
    pub(super) fn write_published(&mut self, published: Published) -> Result<()> {
        match (self, published) {
            (encoder, Published::Rows(rows)) => {
                for batch in rows {
                    encoder.write(&batch?)?;
                }
                Ok(())
            }
            (Self::Json(writer), Published::Text(mut text)) => copy(&mut text, writer.get_mut()),
            (Self::Csv(writer), Published::Text(mut text)) => copy(&mut text, writer.get_mut()),
            _ => Err(Error::internal("text read back for a format that is none")),
        }
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<()> {
    io::copy(from, to)?;
    Ok(())
}

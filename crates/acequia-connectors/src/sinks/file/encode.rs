//! Rows into the bytes of a file, and a published file's rows read back to be written again.

use super::csv::{self, CsvEncoder};
use super::disk;
use super::json;
use super::options::{Compression, Format, FormatOptions};
use acequia_core::{Error, Result};
use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
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
            Format::Arrow => Self::Arrow(Box::new(FileWriter::try_new(BufWriter::new(out), schema)?)),
            Format::Json => Self::Json(json::writer(Compressor::new(options.compression, out)?)),
            Format::Csv => {
                Self::Csv(CsvEncoder::new(options, schema, Compressor::new(options.compression, out)?)?)
            }
        })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(rows).map_err(parquet_error),
            Self::Arrow(writer) => Ok(writer.write(rows)?),
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

    /// Writes what ends the file and gives it back.
    pub(super) fn finish(self) -> Result<W> {
        match self {
            Self::Parquet(writer) => writer.into_inner().map_err(parquet_error),
            Self::Arrow(writer) => writer.into_inner()?.into_inner().map_err(|e| Error::from(e.into_error())),
            Self::Json(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner().finish()?)
            }
            Self::Csv(writer) => Ok(writer.into_inner().finish()?),
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

fn write_error(error: arrow::error::ArrowError) -> Error {
    match error {
        arrow::error::ArrowError::IoError(_, cause) => Error::from(cause),
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

    fn finish(self) -> io::Result<W> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Gzip(out) => out.finish()?,
            Self::Zstd(out) => out.finish()?,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)
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

/// Checks that the format takes every column, by encoding a NULL of it.
///
/// # Errors
/// `Unsupported` naming the column and its type.
pub(super) fn check(options: &FormatOptions, schema: &Schema) -> Result<()> {
    schema.fields().iter().try_for_each(|field| check_column(options, field))
}

fn check_column(options: &FormatOptions, field: &FieldRef) -> Result<()> {
    let refuse = |why: &str| {
        let (format, name, kind) = (options.format, field.name(), field.data_type());
        Error::unsupported(format!("{format} cannot hold column `{name}` of type {kind}: {why}"))
    };
    if let Some(why) = refused(options.format, field.data_type()) {
        return Err(refuse(why));
    }
    let schema = Arc::new(Schema::new(vec![field.as_ref().clone().with_nullable(true)]));
    let nulls = RecordBatch::try_new(Arc::clone(&schema), vec![new_null_array(field.data_type(), 1)])?;
    let mut encoder = Encoder::new(options, &schema, Vec::new()).map_err(|e| refuse(e.message()))?;
    encoder.write(&nulls).map_err(|e| refuse(e.message()))
}

/// Why a type is refused before the encoder is asked, with the way out.
fn refused(format: Format, data_type: &arrow::datatypes::DataType) -> Option<&'static str> {
    use arrow::datatypes::DataType as T;
    match (format, data_type) {
        (Format::Csv, t) if t.is_nested() => Some(csv::NESTED),
        (Format::Parquet, T::Union(..)) => Some("select the fields of the union"),
        _ => None,
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
    if builder.schema().fields() != schema.fields() {
        return Ok(None);
    }
    let rows = builder.build()?.map(|rows| Ok(rows?));
    Ok(Some(Published::Rows(Box::new(rows))))
}

fn open_arrow(schema: &SchemaRef, file: File) -> Result<Option<Published>, arrow::error::ArrowError> {
    let reader = FileReader::try_new_buffered(file, None)?;
    if reader.schema().fields() != schema.fields() {
        return Ok(None);
    }
    Ok(Some(Published::Rows(Box::new(reader.map(|rows| Ok(rows?))))))
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

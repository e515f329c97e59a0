//! Values into streams and out of queries.

use super::rows::{Row, RowCodec};
use super::typed::Dataset;
use crate::catalog;
use crate::runtime::StreamingQuery;
use crate::session::{Batch, DataStreamWriter, ForeachWriter, QueryStream, Session, UserError};
use acequia_core::{BatchId, Result};
use arrow::array::RecordBatch;
use futures::{Stream, StreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// A stream that the program feeds with values: [`Session::memory_stream`].
pub struct MemoryInput<T> {
    session: Session,
    stream: Arc<catalog::Stream>,
    codec: RowCodec<T>,
}

impl<T> fmt::Debug for MemoryInput<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryInput").field("stream", &self.stream.name()).finish_non_exhaustive()
    }
}

impl<T: Row> MemoryInput<T> {
    /// Hands over values as one micro-batch.
    ///
    /// # Errors
    /// As [`RowCodec::encode`].
    pub fn append(&self, values: &[T]) -> Result<()> {
        self.session.append_to(&self.stream, vec![self.codec.encode(values)?])
    }
}

impl Session {
    /// A stream of this name that the program feeds with values, and the values to come. They are kept as long as the
    /// stream, for queries that start later.
    ///
    /// # Errors
    /// `Unsupported` for a type that has no columns; `Invalid` when the name is taken.
    pub async fn memory_stream<T: Row>(&self, name: &str) -> Result<(MemoryInput<T>, Dataset<T>)> {
        let codec = RowCodec::<T>::try_new()?;
        let frame = self.read_stream().name(name).schema(Arc::clone(codec.schema())).load().await?;
        let stream = self.catalog().stream(name)?;
        let input = MemoryInput { session: self.clone(), stream, codec };
        Ok((input, frame.as_dataset()?))
    }

    /// Values as a static [`Dataset`].
    ///
    /// # Errors
    /// As [`RowCodec::encode`], and `Unsupported` for a type that has no columns.
    pub fn create_dataset<T: Row>(&self, values: &[T]) -> Result<Dataset<T>> {
        let codec = RowCodec::<T>::try_new()?;
        self.create_data_frame(Arc::clone(codec.schema()), vec![codec.encode(values)?])?.as_dataset()
    }
}

impl Batch {
    /// The rows as values.
    ///
    /// # Errors
    /// As [`RowCodec::decode`].
    pub fn values<T: Row>(&self) -> Result<Vec<T>> {
        decoded(self.rows())
    }

    /// The rows that are gone, as values.
    ///
    /// # Errors
    /// As [`RowCodec::decode`].
    pub fn deleted_values<T: Row>(&self) -> Result<Vec<T>> {
        decoded(self.deletes())
    }
}

fn decoded<'a, T: Row>(batches: impl Iterator<Item = &'a RecordBatch>) -> Result<Vec<T>> {
    let codec = RowCodec::<T>::try_new()?;
    let values = batches.map(|batch| codec.decode(batch)).collect::<Result<Vec<_>>>()?;
    Ok(values.into_iter().flatten().collect())
}

impl DataStreamWriter {
    /// As [`DataStreamWriter::foreach`], with one value at a time.
    ///
    /// # Errors
    /// As there, and `Unsupported` for a type that has no columns.
    pub async fn foreach_value<T: Row>(self, writer: impl ForeachWriter<T>) -> Result<Arc<StreamingQuery>> {
        self.foreach(ByValue { writer, codec: RowCodec::<T>::try_new()? }).await
    }
}

/// Gives a writer one value after the other.
struct ByValue<W, T> {
    writer: W,
    codec: RowCodec<T>,
}

impl<T: Row, W: ForeachWriter<T>> ForeachWriter<RecordBatch> for ByValue<W, T> {
    fn open(&mut self, batch: BatchId) -> Result<bool, UserError> {
        self.writer.open(batch)
    }

    fn process(&mut self, rows: RecordBatch) -> Result<(), UserError> {
        self.codec.decode(&rows)?.into_iter().try_for_each(|value| self.writer.process(value))
    }

    fn delete(&mut self, rows: RecordBatch) -> Result<(), UserError> {
        self.codec.decode(&rows)?.into_iter().try_for_each(|value| self.writer.delete(value))
    }

    fn close(&mut self, error: Option<&UserError>) -> Result<(), UserError> {
        self.writer.close(error)
    }
}

impl QueryStream {
    /// The rows as values.
    ///
    /// # Errors
    /// `Unsupported` for a type that has no columns; the stream's items are errors as those of [`RowCodec::decode`].
    pub fn values<T: Row>(self) -> Result<impl Stream<Item = Result<T>> + Send + Unpin> {
        let codec = RowCodec::<T>::try_new()?;
        let values = self.map(move |rows| match rows.and_then(|rows| codec.decode(&rows)) {
            Ok(values) => stream::iter(values.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        });
        Ok(values.flatten())
    }
}

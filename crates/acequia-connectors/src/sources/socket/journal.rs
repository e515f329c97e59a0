//! The journal: rows that were taken from the peer, durable before anybody is told of them.
//!
//! ```text
//! journal/00000000000000000007     sealed: records skipped (8 bytes, little endian), Arrow IPC stream
//! ```
//! One object is one batch; its number is the offset. Objects are written once, so that of two runs only one can go
//! on, and removed when they are committed. What is not committed is also kept in memory, so that in the ordinary
//! course nothing is read back.

use crate::sources::store::{self, Created};
use acequia_core::{Error, ReadMetrics, RecordStream, Result, Split, SplitReader};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PREFIX: &str = "journal";

/// The rows of one object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) skipped: usize,
}

/// The driver's side.
#[derive(Debug)]
pub(crate) struct Journal {
    reader: Arc<JournalReader>,
    /// The objects that are there.
    numbers: BTreeSet<u64>,
}

fn name(number: u64) -> String {
    format!("{PREFIX}/{number:020}")
}

impl Journal {
    /// Finds what earlier runs left.
    pub(crate) async fn open(store: Arc<dyn ObjectStore>, schema: SchemaRef) -> Result<Self> {
        let objects = store::list(&store, PREFIX).await?;
        // Other names are not ours.
        let number = |object: &String| object.rsplit('/').next().and_then(|name| name.parse().ok());
        let numbers: BTreeSet<u64> = objects.iter().filter_map(number).collect();
        let reader = Arc::new(JournalReader { store, schema, recent: RwLock::default() });
        Ok(Self { reader, numbers })
    }

    pub(crate) fn reader(&self) -> Arc<JournalReader> {
        Arc::clone(&self.reader)
    }

    /// The first object after this number.
    pub(crate) fn next(&self, after: Option<u64>) -> Option<u64> {
        self.after(after).next()
    }

    fn after(&self, after: Option<u64>) -> impl Iterator<Item = u64> + '_ {
        let first = after.map_or(0, |n| n.saturating_add(1));
        self.numbers.range(first..).copied()
    }

    /// Writes an object, numbered after everything written and after `after`.
    ///
    /// # Errors
    /// `Fenced` when another run was first.
    pub(crate) async fn append(&mut self, after: Option<u64>, entry: Entry) -> Result<u64> {
        let last = self.numbers.last().copied().max(after);
        let number = last.map_or(0, |n| n + 1);
        let sealed = store::seal(&encode(&self.reader.schema, &entry)?);
        if store::create(&self.reader.store, &name(number), sealed).await? == Created::Before {
            return Err(store::fenced(&name(number)));
        }
        self.numbers.insert(number);
        self.reader.recent.write().insert(number, entry);
        Ok(number)
    }

    /// The objects of a range, its end included.
    ///
    /// # Errors
    /// `Data` when its last one is gone.
    pub(crate) fn range(&self, start: Option<u64>, end: u64) -> Result<Vec<u64>> {
        if !self.numbers.contains(&end) {
            return Err(Error::data(format!("rows are not in the journal any more: object=`{}`", name(end))));
        }
        Ok(self.after(start).take_while(|n| *n <= end).collect())
    }

    /// Removes everything up to a number.
    pub(crate) async fn commit(&mut self, end: u64) -> Result<()> {
        while let Some(first) = self.numbers.first().copied().filter(|n| *n <= end) {
            store::delete(&self.reader.store, &name(first)).await?;
            self.reader.recent.write().remove(&first);
            self.numbers.remove(&first);
        }
        Ok(())
    }
}

/// The worker's side: a split is the number of an object.
#[derive(Debug)]
pub(crate) struct JournalReader {
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    /// What this run wrote and is not committed.
    recent: RwLock<BTreeMap<u64, Entry>>,
}

impl SplitReader for JournalReader {
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream> {
        let number: u64 = split.decode()?;
        let recent = self.recent.read().get(&number).cloned();
        let (store, schema) = (Arc::clone(&self.store), Arc::clone(&self.schema));
        let (projection, metrics) = (projection.map(<[usize]>::to_vec), Arc::clone(metrics));
        let batches = async move {
            let entry = match recent {
                Some(entry) => entry,
                None => load(&store, number, &schema).await?,
            };
            metrics.add_skipped(entry.skipped);
            let batches = entry.batches.into_iter().map(move |batch| {
                metrics.add_rows(batch.num_rows());
                match &projection {
                    Some(columns) => Ok(batch.project(columns)?),
                    None => Ok(batch),
                }
            });
            Ok::<_, Error>(stream::iter(batches))
        };
        Ok(stream::once(batches).try_flatten().boxed())
    }
}

fn encode(schema: &SchemaRef, entry: &Entry) -> Result<Vec<u8>> {
    let mut bytes = (entry.skipped as u64).to_le_bytes().to_vec();
    let mut writer = StreamWriter::try_new(&mut bytes, schema)?;
    entry.batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

async fn load(store: &Arc<dyn ObjectStore>, number: u64, schema: &SchemaRef) -> Result<Entry> {
    let name = name(number);
    let contents = store::unseal(&name, &store::read(store, &name).await?)?;
    decode(&contents, schema).map_err(|e| e.context(format!("object=`{name}`")))
}

fn decode(contents: &Bytes, schema: &SchemaRef) -> Result<Entry> {
    let (skipped, rows) =
        contents.split_first_chunk::<8>().ok_or_else(|| Error::data("journal object is damaged"))?;
    let reader = StreamReader::try_new(rows, None)?;
    if reader.schema() != *schema {
        return Err(Error::data(format!(
            "the journal has other columns than the stream: journal={} stream={schema}; undo the change, or use a new checkpoint",
            reader.schema()
        )));
    }
    let skipped = usize::try_from(u64::from_le_bytes(*skipped)).unwrap_or(usize::MAX);
    Ok(Entry { batches: reader.collect::<Result<_, _>>()?, skipped })
}

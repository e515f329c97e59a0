//! The first rows of partitions whose rows are only added: these rows alone, since the others can never be among them.
//!
//! ```text
//! partition columns -> the rows in order, each as the bytes of [`arrow::row`] of    columns of the order | all others
//! ```
//! A batch costs its rows and the first rows of the partitions that it touches. Of a row at first only partition and
//! order are encoded: one that comes after the last of a full partition is dropped by these, as are all but the first of
//! a partition in the batch itself. What is left is encoded whole and merged with what is there.
//!
//! With [`Number`]s the operator gives the rows with these as further columns, and finds by itself which have changed.
//! Memory per row: its bytes and 24; per partition the bytes of its columns and about 60.

use super::{First, Kept, Number, PartitionsSpec, Seen, rows_table};
use crate::exec::TimeKey;
use crate::exec::aggregate::times_in;
use crate::exec::delta::{Delta, batch_of};
use crate::exec::row_bytes::{RowBytes, RowPrefix};
use crate::exec::rows_table::RowsTable;
use acequia_core::state::{TableDef, TableDelta};
use acequia_core::{Error, Result};
use arrow::array::{Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::Rows;
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a slot of the hash table and a list of rows cost for each partition, as far as one can tell.
const PARTITION_BYTES: usize = 60;

/// A row that is kept.
#[derive(Clone)]
struct Row {
    bytes: Box<[u8]>,
    /// The length of what is compared of it before ties.
    ordered: u32,
}

/// The first rows of a partition, in order.
#[derive(Default)]
struct Top {
    rows: Vec<Row>,
    /// Whether a row after the last is none of them.
    full: bool,
}

/// A row of a list that is being merged: one that is kept, or one of the batch.
#[derive(Clone, Copy)]
struct Item<'a> {
    bytes: &'a [u8],
    ordered: usize,
    /// Its place among the new rows of the batch.
    new: Option<u32>,
}

impl Row {
    fn item(&self) -> Item<'_> {
        Item { bytes: &self.bytes, ordered: self.ordered as usize, new: None }
    }
}

impl<'a> Item<'a> {
    /// What decides about its rank.
    fn ordered(&self) -> &'a [u8] {
        &self.bytes[..self.ordered]
    }
}

/// The values of a row's numbers, 0 of those that are not asked for.
type Numbers = [u64; 3];

/// New rows in the bytes of which they are kept, partition by partition.
struct Batch {
    rows: RecordBatch,
    whole: Rows,
    ordered: Vec<usize>,
    /// The places of rows, partition by partition and in order, and which of these are a partition's.
    order: Vec<u32>,
    partitions: Vec<(u32, Range<usize>)>,
}

impl Batch {
    fn items(&self, range: &Range<usize>) -> impl Iterator<Item = Item<'_>> {
        self.order[range.clone()].iter().map(|row| self.item(*row))
    }

    fn item(&self, row: u32) -> Item<'_> {
        let at = row as usize;
        Item { bytes: self.whole.row(at).data(), ordered: self.ordered[at], new: Some(row) }
    }
}

/// What a batch changes.
#[derive(Default)]
struct Changes {
    before: Listed,
    after: Listed,
    /// New rows that are kept, by their places, and rows that are not any more.
    kept: Vec<u32>,
    dropped: Vec<Box<[u8]>>,
}

/// Rows of a list with their numbers.
#[derive(Default)]
struct Listed {
    rows: Vec<(Box<[u8]>, Option<u32>)>,
    numbers: Vec<Numbers>,
}

impl Listed {
    fn push(&mut self, item: &Item<'_>, numbers: Numbers) {
        // The bytes of a new row are not needed to give it.
        let bytes = if item.new.is_some() { Box::default() } else { item.bytes.into() };
        self.rows.push((bytes, item.new));
        self.numbers.push(numbers);
    }
}

/// See the [module](self).
pub(super) struct TopRows {
    schema: SchemaRef,
    first: First,
    numbers: Vec<Number>,
    /// The columns of the rows with their numbers.
    given: SchemaRef,
    time: Option<TimeKey>,
    partition: Option<RowPrefix>,
    whole: RowBytes,
    ordered: Option<RowPrefix>,
    places: HashMap<Box<[u8]>, u32>,
    tops: Vec<Top>,
    /// Places of partitions that have left.
    free: Vec<u32>,
    by_time: BTreeMap<i64, Vec<Box<[u8]>>>,
    rows: usize,
    row_bytes: usize,
    partition_bytes: usize,
    saved: RowsTable,
}

impl TopRows {
    pub(super) fn try_new(spec: &PartitionsSpec, first: First, numbers: &[Number]) -> Result<Self> {
        // Columns of the partition come last, being the same in all of its rows.
        let of_partition = |(column, _): &(usize, _)| spec.partition.contains(column);
        let (partition, mut columns): (Vec<_>, Vec<_>) =
            spec.all_columns().into_iter().partition(of_partition);
        let asked = |(column, _): &&(usize, _)| spec.order.iter().any(|(other, _)| other == column);
        let order = columns.iter().take_while(asked).count();
        columns.extend(&partition);
        let whole = RowBytes::try_new(&spec.schema, &columns)?;
        Ok(Self {
            schema: Arc::clone(&spec.schema),
            first,
            numbers: numbers.to_vec(),
            given: Number::after(&spec.schema, numbers),
            time: spec.time.clone(),
            partition: RowPrefix::try_new(&spec.schema, &partition)?,
            ordered: whole.prefix(order)?,
            whole,
            places: HashMap::new(),
            tops: Vec::new(),
            free: Vec::new(),
            by_time: BTreeMap::new(),
            rows: 0,
            row_bytes: 0,
            partition_bytes: 0,
            saved: rows_table(spec),
        })
    }

    /// The partition of each row.
    fn places(&mut self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let Some(partition) = &self.partition else {
            return self.place(&[], None).map(|place| vec![place; rows.num_rows()]);
        };
        let partitions = partition.encode(rows)?;
        let times = self.time.as_ref().map(|time| times_in(rows.column(time.column), time.field));
        let times = times.transpose()?;
        let time = |row: usize| times.as_ref().filter(|times| times.is_valid(row)).map(|t| t.value(row));
        partitions
            .iter()
            .enumerate()
            .map(|(row, partition)| self.place(partition.data(), time(row)))
            .collect()
    }

    fn place(&mut self, partition: &[u8], time: Option<i64>) -> Result<u32> {
        if let Some(place) = self.places.get(partition) {
            return Ok(*place);
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.tops.push(Top::default());
                u32::try_from(self.tops.len() - 1)
                    .map_err(|_| Error::resource_exhausted("a query has more than 4 billion partitions"))?
            }
        };
        self.places.insert(partition.into(), place);
        self.partition_bytes += partition.len() + PARTITION_BYTES;
        if let Some(time) = time {
            self.by_time.entry(time).or_default().push(partition.into());
        }
        Ok(place)
    }

    /// The rows that may be among the first, in the bytes in which they are kept.
    fn batch(&mut self, rows: &RecordBatch) -> Result<Batch> {
        let places = self.places(rows)?;
        let ordered = self.ordered.as_ref().map(|ordered| ordered.encode(rows)).transpose()?;
        let order = |row: u32| ordered.as_ref().map_or(&[][..], |rows| rows.row(row as usize).data());
        let comes_in = |row: &u32| {
            let top = &self.tops[places[*row as usize] as usize];
            let last = top.rows.last().filter(|_| top.full);
            last.is_none_or(|last| order(*row) <= last.item().ordered())
        };
        let mut candidates: Vec<u32> = (0..rows.num_rows() as u32).filter(comes_in).collect();
        let place = |row: &u32| places[*row as usize];
        candidates.sort_unstable_by(|a, b| {
            place(a).cmp(&place(b)).then_with(|| order(*a).cmp(order(*b))).then(a.cmp(b))
        });
        // Ties are only told apart by all columns, so that none of them is dropped here.
        let first = match self.first {
            First::Rows(most) => First::Ranks(most),
            other => other,
        };
        let (mut taken, mut partitions): (Vec<u32>, Vec<(u32, Range<usize>)>) = (Vec::new(), Vec::new());
        for of_partition in candidates.chunk_by(|a, b| place(a) == place(b)) {
            let (kept, _) = first.of(of_partition.iter().map(|row| order(*row)));
            let start = taken.len();
            taken.extend(&of_partition[..kept]);
            partitions.push((place(&of_partition[0]), start..taken.len()));
        }
        let lengths = taken.iter().map(|row| order(*row).len()).collect();
        let taken = take_record_batch(rows, &UInt32Array::from(taken))?;
        self.encoded(taken, lengths, partitions)
    }

    fn encoded(
        &self,
        rows: RecordBatch,
        ordered: Vec<usize>,
        partitions: Vec<(u32, Range<usize>)>,
    ) -> Result<Batch> {
        let whole = self.whole.encode(&rows)?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        for (_, range) in &partitions {
            order[range.clone()]
                .sort_by(|a, b| whole.row(*a as usize).data().cmp(whole.row(*b as usize).data()));
        }
        Ok(Batch { rows, whole, ordered, order, partitions })
    }

    /// Adds rows to their partitions.
    fn add(&mut self, batch: &Batch) -> Changes {
        let mut changes = Changes::default();
        let mut news: Vec<(usize, u32)> = Vec::new();
        for (place, range) in &batch.partitions {
            let old = std::mem::take(&mut self.tops[*place as usize].rows);
            let mut merged = merge(old.iter().map(Row::item), batch.items(range));
            let (kept, full) = self.first.of(merged.iter().map(Item::ordered));
            for item in merged.drain(kept..).filter(|item| item.new.is_none()) {
                changes.dropped.push(item.bytes.into());
                self.row_bytes -= item.bytes.len();
            }
            self.compare(&old, &merged, &mut changes);
            news.clear();
            news.extend(merged.iter().enumerate().filter_map(|(at, item)| Some((at, item.new?))));
            self.rows = self.rows + kept - old.len();
            let mut rows = Vec::with_capacity(kept);
            let mut old = old.into_iter();
            for (at, new) in &news {
                let Item { bytes, ordered, .. } = batch.item(*new);
                rows.extend(old.by_ref().take(at - rows.len()));
                rows.push(Row { bytes: bytes.into(), ordered: ordered as u32 });
                changes.kept.push(*new);
                self.row_bytes += bytes.len();
            }
            rows.extend(old.take(kept - rows.len()));
            self.tops[*place as usize] = Top { rows, full };
        }
        changes
    }

    /// Adds rows, and saves what is kept.
    fn added(&mut self, delta: &Delta, durable: bool) -> Result<(Batch, Changes)> {
        let batch = self.batch(&delta.rows)?;
        let changes = self.add(&batch);
        if durable && !(changes.kept.is_empty() && changes.dropped.is_empty()) {
            self.save(&batch, &changes)?;
        }
        Ok((batch, changes))
    }

    /// What is another list than before: with numbers the rows that differ, otherwise all of both.
    fn compare(&self, old: &[Row], new: &[Item<'_>], changes: &mut Changes) {
        if new.len() == old.len() && new.iter().all(|item| item.new.is_none()) {
            return;
        }
        let mut gone = self.numbered(old.iter().map(Row::item)).peekable();
        let mut come = self.numbered(new.iter().copied()).peekable();
        if self.numbers.is_empty() {
            gone.for_each(|(item, numbers)| changes.before.push(&item, numbers));
            come.for_each(|(item, numbers)| changes.after.push(&item, numbers));
            return;
        }
        loop {
            let order = match (gone.peek(), come.peek()) {
                (Some((a, x)), Some((b, y))) => a.bytes.cmp(b.bytes).then_with(|| x.cmp(y)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let lost = if order.is_le() { gone.next() } else { None };
            let given = if order.is_ge() { come.next() } else { None };
            match (lost, given) {
                (Some((item, numbers)), None) => changes.before.push(&item, numbers),
                (None, Some((item, numbers))) => changes.after.push(&item, numbers),
                _ => {}
            }
        }
    }

    /// Rows with their numbers, from all first rows of a partition.
    fn numbered<'a>(
        &self,
        rows: impl Iterator<Item = Item<'a>>,
    ) -> impl Iterator<Item = (Item<'a>, Numbers)> {
        let of = |number: Number| u64::from(self.numbers.contains(&number));
        let (row, rank, dense) = (of(Number::Row), of(Number::Rank), of(Number::DenseRank));
        let (mut count, mut ranked, mut values) = (0, 0, 0);
        let mut last = None;
        rows.map(move |item| {
            count += 1;
            if last.replace(item.ordered()) != Some(item.ordered()) {
                ranked = count;
                values += 1;
            }
            (item, [row * count, rank * ranked, dense * values])
        })
    }

    /// Rows with their numbers; in their order only if none is new.
    fn given(&self, listed: &Listed, batch: Option<&Batch>) -> Result<RecordBatch> {
        let is_new = |at: &usize| listed.rows[*at].1.is_some();
        let (new, kept): (Vec<usize>, Vec<usize>) = (0..listed.rows.len()).partition(is_new);
        let mut rows = self.whole.decode(kept.iter().map(|at| &*listed.rows[*at].0))?;
        if let Some(batch) = batch.filter(|_| !new.is_empty()) {
            let new: UInt32Array = new.iter().map(|at| listed.rows[*at].1).collect();
            rows = concat_batches(&self.schema, [&rows, &take_record_batch(&batch.rows, &new)?])?;
        }
        let order: Vec<usize> = kept.into_iter().chain(new).collect();
        let mut columns = rows.columns().to_vec();
        for number in &self.numbers {
            let values = order.iter().map(|at| listed.numbers[*at][*number as usize]);
            columns.push(Arc::new(UInt64Array::from_iter_values(values)));
        }
        batch_of(&self.given, columns, order.len())
    }

    /// What a batch changes in the saved rows.
    fn save(&mut self, batch: &Batch, changes: &Changes) -> Result<()> {
        let kept = take_record_batch(&batch.rows, &UInt32Array::from(changes.kept.clone()))?;
        let dropped = self.whole.decode(changes.dropped.iter().map(|row| &**row))?;
        let weights = [vec![1; kept.num_rows()], vec![-1; dropped.num_rows()]].concat();
        let rows = concat_batches(&self.schema, [&kept, &dropped])?;
        let changed = Delta { rows, weights }.consolidated()?;
        self.saved.changed(&changed)
    }
}

/// Two lists in order as one; of equal rows those of the first come first.
fn merge<'a>(old: impl Iterator<Item = Item<'a>>, new: impl Iterator<Item = Item<'a>>) -> Vec<Item<'a>> {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let mut merged = Vec::new();
    while let (Some(a), Some(b)) = (old.peek(), new.peek()) {
        merged.extend(if a.bytes <= b.bytes { old.next() } else { new.next() });
    }
    merged.extend(old.chain(new));
    merged
}

impl Kept for TopRows {
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen> {
        let (batch, mut changes) = self.added(&delta, durable)?;
        if self.numbers.is_empty() {
            // The relation sees rows in their order.
            for (bytes, new) in &mut changes.after.rows {
                if let Some(new) = new.take() {
                    *bytes = batch.item(new).bytes.into();
                }
            }
        }
        Ok(Seen {
            before: self.given(&changes.before, None)?,
            after: self.given(&changes.after, Some(&batch))?,
        })
    }

    fn store(&mut self, delta: &Delta, durable: bool) -> Result<()> {
        self.added(delta, durable).map(|_| ())
    }

    fn leave(&mut self, bound: i64, durable: bool) -> Result<Option<RecordBatch>> {
        let later = self.by_time.split_off(&bound);
        let gone = std::mem::replace(&mut self.by_time, later);
        if gone.is_empty() {
            return Ok(None);
        }
        let mut listed = Listed::default();
        for partition in gone.into_values().flatten() {
            let Some(place) = self.places.remove(&partition) else { continue };
            let Top { rows, .. } = std::mem::take(&mut self.tops[place as usize]);
            self.free.push(place);
            self.partition_bytes -= partition.len() + PARTITION_BYTES;
            self.rows -= rows.len();
            self.row_bytes -= rows.iter().map(|row| row.bytes.len()).sum::<usize>();
            let numbered = self.numbered(rows.iter().map(Row::item));
            numbered.for_each(|(item, numbers)| listed.push(&item, numbers));
        }
        if durable {
            self.saved.evicted(bound);
        }
        self.given(&listed, None).map(Some)
    }

    fn has_below(&self, bound: i64) -> bool {
        self.by_time.keys().next().is_some_and(|first| *first < bound)
    }

    fn table(&self) -> &TableDef {
        self.saved.def()
    }

    fn take_delta(&mut self) -> TableDelta {
        self.saved.take_delta()
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        let delta = self.saved.restored(rows)?;
        let batch = self.batch(&delta.copies()?)?;
        self.add(&batch);
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        let rows: Vec<&[u8]> = self.tops.iter().flat_map(|top| &top.rows).map(|row| &*row.bytes).collect();
        let rows = self.whole.decode(rows.into_iter())?;
        let all = Delta { weights: vec![1; rows.num_rows()], rows }.consolidated()?;
        Ok(if all.len() == 0 { Vec::new() } else { vec![self.saved.saved(&all)?] })
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        let lists = self.rows * size_of::<Row>() + self.tops.capacity() * size_of::<Top>();
        self.row_bytes + self.partition_bytes + lists
    }
}

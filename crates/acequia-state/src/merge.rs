//! What merging means: the rows that neighbouring deltas of a table leave together.
//!
//! Layers are given **newest first**. A row of a layer lives unless a newer layer says otherwise:
//! ```text
//! Keyed      the first to name a key wins, with a row or with "gone"; a row below a newer layer's bound is gone
//! Additive   weights of equal rows add up; rows below a newer layer's bound are left out; weight 0 is nothing
//! ```
//! so a row can be handed on as soon as it is seen, and only the keys of the newer layers are held: nothing of the
//! oldest and largest layer, unless it may hold equal rows itself. An additive table also holds the newer rows, since
//! their weight is known at the end.
//!
//! A layer's bound concerns *older* layers only: rows of a delta that its own bound drops are dropped when it is
//! sealed ([`settle`]). With older layers below the merge, "gone" and the bound itself must be handed on too.
//!
//! Rows are equal when their Arrow row encodings are: NULLs are equal, NaNs of the same bits are, `-0.0` is not `0.0`.

use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{Error, Result};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, RecordBatch, RecordBatchOptions,
};
use arrow::compute::{BatchCoalescer, filter_record_batch, interleave_record_batch};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Rows in a batch that a merge hands on.
const OUTPUT_ROWS: usize = 16 * 1024;

/// Takes merged rows, piece by piece.
pub(crate) type Each<'a> = &'a mut (dyn FnMut(RecordBatch) -> Result<()> + Send);

/// What is left to say when all layers are merged.
pub(crate) struct Remainder {
    /// Keys that are gone, for layers older than the merge.
    pub(crate) deletes: Vec<RecordBatch>,
    /// The bound for layers older than the merge.
    pub(crate) evict_below: Option<i64>,
}

/// The columns that identify a row.
pub(crate) fn key_columns(kind: TableKind, schema: &Schema) -> usize {
    match kind {
        TableKind::Keyed { key_columns } => key_columns,
        TableKind::Additive => schema.fields().len().saturating_sub(1),
    }
}

/// The schema of a table's deletes.
pub(crate) fn key_schema(table: &TableDef) -> SchemaRef {
    let keys = key_columns(table.kind, &table.schema);
    Arc::new(Schema::new(table.schema.fields().iter().take(keys).cloned().collect::<Vec<_>>()))
}

/// Checks that a table can be kept at all.
pub(crate) fn check_table(table: &TableDef) -> Result<()> {
    let wrong = |what: String| {
        Error::internal(format!(
            "table of an operator is malformed: operator={} table=`{}`: {what}",
            table.operator, table.name
        ))
    };
    let fields = table.schema.fields();
    let is_int64 = |i: usize| fields.get(i).is_some_and(|f| *f.data_type() == DataType::Int64);
    match table.kind {
        TableKind::Keyed { key_columns } if key_columns > fields.len() => {
            return Err(wrong(format!("key columns={key_columns} columns={}", fields.len())));
        }
        TableKind::Additive if fields.is_empty() || !is_int64(fields.len() - 1) => {
            return Err(wrong("the last column must be an Int64 weight".into()));
        }
        _ => {}
    }
    match table.time_column {
        Some(i) if !is_int64(i) => Err(wrong(format!("time column is no Int64 column: column={i}"))),
        Some(i) if table.kind == TableKind::Additive && i + 1 == fields.len() => {
            Err(wrong("time column is the weight".into()))
        }
        _ => Ok(()),
    }
}

/// A delta in the form in which it is kept: its own bound applied, types checked, nothing empty.
pub(crate) fn settle(delta: TableDelta) -> Result<TableDelta> {
    check_table(&delta.table)?;
    let TableDelta { table, upserts, deletes, evict_below } = delta;
    if evict_below.is_some() && table.time_column.is_none() {
        return Err(broken(&table, "rows are evicted but there is no time column"));
    }
    if table.kind == TableKind::Additive && deletes.iter().any(|d| d.num_rows() > 0) {
        return Err(broken(&table, "an additive table has deletes; give negative weights"));
    }
    let keys = key_schema(&table);
    let mut settled = TableDelta { table, upserts: vec![], deletes: vec![], evict_below };
    for batch in deletes.into_iter().filter(|b| b.num_rows() > 0) {
        settled.deletes.push(conform(&settled.table, &keys, &batch)?);
    }
    for batch in upserts.into_iter().filter(|b| b.num_rows() > 0) {
        let batch = conform(&settled.table, &settled.table.schema, &batch)?;
        drop_own_evicted(&mut settled, batch, &keys)?;
    }
    if cfg!(debug_assertions) {
        check_unique(&settled)?;
    }
    Ok(settled)
}

/// Adds rows to a delta without those that its bound drops. They still overwrite what was under their key.
fn drop_own_evicted(delta: &mut TableDelta, batch: RecordBatch, keys: &SchemaRef) -> Result<()> {
    let evicted = Evicted::of(&delta.table, delta.evict_below, &batch);
    let kept: BooleanArray = (0..batch.num_rows()).map(|i| Some(!evicted.row(i))).collect();
    if kept.true_count() == kept.len() {
        delta.upserts.push(batch);
        return Ok(());
    }
    if gone_matters(&delta.table) {
        let dropped = arrow::compute::not(&kept)?;
        delta.deletes.push(filter_record_batch(&keys_of(&batch, keys)?, &dropped)?);
    }
    let batch = filter_record_batch(&batch, &kept)?;
    if batch.num_rows() > 0 {
        delta.upserts.push(batch);
    }
    Ok(())
}

/// Whether an evicted row may hide an older row of its key that the bound does not drop.
fn gone_matters(table: &TableDef) -> bool {
    match (table.kind, table.time_column) {
        (TableKind::Keyed { key_columns }, Some(time)) => time >= key_columns,
        _ => false,
    }
}

fn keys_of(batch: &RecordBatch, keys: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns()[..keys.fields().len()].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(keys), columns, &options)?)
}

/// The same rows under the table's own schema.
fn conform(table: &TableDef, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .map_err(|e| broken(table, &format!("rows do not have the table's columns: {e}")))
}

fn broken(table: &TableDef, what: &str) -> Error {
    Error::internal(format!("delta is malformed: operator={} table=`{}`: {what}", table.operator, table.name))
}

/// The promise of [`TableDelta`] that everything here rests on.
fn check_unique(delta: &TableDelta) -> Result<()> {
    let TableKind::Keyed { .. } = delta.table.kind else { return Ok(()) };
    let mut keys = Keys::new(&delta.table)?;
    for batch in delta.upserts.iter().chain(&delta.deletes) {
        let rows = keys.encode(batch)?;
        let unique = (0..rows.num_rows()).all(|i| keys.insert(&rows, i, 0).is_none());
        keys.keep(rows);
        if !unique {
            return Err(broken(&delta.table, "a key occurs twice"));
        }
    }
    Ok(())
}

/// Which rows of a batch are below a bound. Rows without a time never are.
struct Evicted<'a> {
    times: Option<(&'a Int64Array, i64)>,
}

impl<'a> Evicted<'a> {
    fn of(table: &TableDef, bound: Option<i64>, batch: &'a RecordBatch) -> Self {
        let times = table.time_column.zip(bound);
        Self { times: times.map(|(column, bound)| (batch.column(column).as_primitive::<Int64Type>(), bound)) }
    }

    fn row(&self, i: usize) -> bool {
        self.times.is_some_and(|(times, bound)| times.is_valid(i) && times.value(i) < bound)
    }
}

/// Keys seen in newer layers, each with a weight.
struct Keys {
    converter: RowConverter,
    columns: usize,
    encoded: Vec<Rows>,
    entries: Vec<Entry>,
    index: HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
}

struct Entry {
    hash: u64,
    batch: u32,
    row: u32,
    weight: i64,
}

impl Keys {
    fn new(table: &TableDef) -> Result<Self> {
        let columns = key_columns(table.kind, &table.schema);
        let fields = table.schema.fields().iter().take(columns);
        let mut fields: Vec<_> = fields.map(|f| SortField::new(f.data_type().clone())).collect();
        if fields.is_empty() {
            fields.push(SortField::new(DataType::Boolean));
        }
        let converter = RowConverter::new(fields).map_err(|e| {
            Error::unsupported(format!(
                "state cannot be kept by these columns: operator={} table=`{}`: {e}",
                table.operator, table.name
            ))
        })?;
        let (encoded, entries, index) = (vec![], vec![], HashTable::new());
        Ok(Self { converter, columns, encoded, entries, index, hasher: Default::default() })
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Rows> {
        let mut columns = batch.columns()[..self.columns].to_vec();
        if columns.is_empty() {
            // All rows of a table without key columns have the same key.
            columns.push(Arc::new(BooleanArray::from(vec![true; batch.num_rows()])));
        }
        Ok(self.converter.convert_columns(&columns)?)
    }

    fn hash(&self, rows: &Rows, i: usize) -> u64 {
        self.hasher.hash_one(rows.row(i).data())
    }

    fn find(&self, rows: &Rows, i: usize, hash: u64) -> Option<usize> {
        let same = |entry: &u32| {
            let entry = &self.entries[*entry as usize];
            let known = self.encoded.get(entry.batch as usize).unwrap_or(rows);
            entry.hash == hash && known.row(entry.row as usize) == rows.row(i)
        };
        self.index.find(hash, same).map(|e| *e as usize)
    }

    fn get(&mut self, rows: &Rows, i: usize) -> Option<&mut Entry> {
        let hash = self.hash(rows, i);
        self.find(rows, i, hash).map(|e| &mut self.entries[e])
    }

    /// Adds a key of the batch that will be kept next; gives the entry that was there instead.
    fn insert(&mut self, rows: &Rows, i: usize, weight: i64) -> Option<&mut Entry> {
        let hash = self.hash(rows, i);
        if let Some(found) = self.find(rows, i, hash) {
            return Some(&mut self.entries[found]);
        }
        let (id, batch) = (self.entries.len() as u32, self.encoded.len() as u32);
        self.entries.push(Entry { hash, batch, row: i as u32, weight });
        let entries = &self.entries;
        self.index.insert_unique(hash, id, |e| entries[*e as usize].hash);
        None
    }

    /// Keeps the batch whose keys were added.
    fn keep(&mut self, rows: Rows) {
        self.encoded.push(rows);
    }
}

/// Merges layers of one table, newest first.
pub(crate) struct Merger {
    table: TableDef,
    keys: Keys,
    /// Additive only: the batches that entries point into.
    held: Vec<RecordBatch>,
    bound: Option<i64>,
    /// Whether nothing is older than the merge.
    whole: bool,
    deletes: Vec<RecordBatch>,
    key_schema: SchemaRef,
    output: BatchCoalescer,
}

impl Merger {
    pub(crate) fn new(table: &TableDef, whole: bool) -> Result<Self> {
        check_table(table)?;
        Ok(Self {
            keys: Keys::new(table)?,
            held: vec![],
            bound: None,
            whole,
            deletes: vec![],
            key_schema: key_schema(table),
            output: BatchCoalescer::new(Arc::clone(&table.schema), OUTPUT_ROWS),
            table: table.clone(),
        })
    }

    /// Rows of the current layer. `oldest` says that no layer follows and that no two rows of this one are equal.
    pub(crate) fn upserts(&mut self, batch: RecordBatch, oldest: bool, each: Each<'_>) -> Result<()> {
        match self.table.kind {
            TableKind::Keyed { .. } => self.keyed(batch, oldest)?,
            TableKind::Additive => self.additive(batch, oldest)?,
        }
        self.hand_on(each)
    }

    fn keyed(&mut self, batch: RecordBatch, oldest: bool) -> Result<()> {
        let rows = self.keys.encode(&batch)?;
        let evicted = Evicted::of(&self.table, self.bound, &batch);
        let mut live = BooleanBufferBuilder::new(batch.num_rows());
        let mut gone = BooleanBufferBuilder::new(batch.num_rows());
        for i in 0..batch.num_rows() {
            let fresh = self.is_fresh(&rows, i, oldest);
            let evicted = fresh && evicted.row(i);
            live.append(fresh && !evicted);
            gone.append(evicted);
        }
        if !oldest {
            self.keys.keep(rows);
        }
        let gone = BooleanArray::from(gone.finish());
        if !self.whole && gone_matters(&self.table) && gone.true_count() > 0 {
            let keys = keys_of(&batch, &self.key_schema)?;
            self.deletes.push(filter_record_batch(&keys, &gone)?);
        }
        self.push_live(batch, live)
    }

    fn is_fresh(&mut self, rows: &Rows, i: usize, oldest: bool) -> bool {
        if oldest { self.keys.get(rows, i).is_none() } else { self.keys.insert(rows, i, 0).is_none() }
    }

    fn additive(&mut self, batch: RecordBatch, oldest: bool) -> Result<()> {
        let rows = self.keys.encode(&batch)?;
        let evicted = Evicted::of(&self.table, self.bound, &batch);
        let weights = weights(&self.table, &batch)?;
        let mut live = BooleanBufferBuilder::new(batch.num_rows());
        for i in 0..batch.num_rows() {
            let weight = weights.value(i);
            let known = match (evicted.row(i), oldest) {
                (true, _) => {
                    live.append(false);
                    continue;
                }
                (false, true) => self.keys.get(&rows, i),
                (false, false) => self.keys.insert(&rows, i, weight),
            };
            live.append(oldest && known.is_none() && weight != 0);
            if let Some(entry) = known {
                entry.weight = entry.weight.checked_add(weight).ok_or_else(|| {
                    Error::data(format!("weight of a row is out of range: table=`{}`", self.table.name))
                })?;
            }
        }
        if oldest {
            return self.push_live(batch, live);
        }
        self.keys.keep(rows);
        self.held.push(batch);
        Ok(())
    }

    fn push_live(&mut self, batch: RecordBatch, mut live: BooleanBufferBuilder) -> Result<()> {
        let live = BooleanArray::from(live.finish());
        if live.true_count() == live.len() {
            return Ok(self.output.push_batch(batch)?);
        }
        Ok(self.output.push_batch(filter_record_batch(&batch, &live)?)?)
    }

    /// Keys of the current layer that are gone.
    pub(crate) fn deletes(&mut self, batch: RecordBatch, oldest: bool) -> Result<()> {
        let rows = self.keys.encode(&batch)?;
        let fresh: BooleanArray =
            (0..batch.num_rows()).map(|i| Some(self.is_fresh(&rows, i, oldest))).collect();
        if !oldest {
            self.keys.keep(rows);
        }
        if !self.whole && fresh.true_count() > 0 {
            self.deletes.push(filter_record_batch(&batch, &fresh)?);
        }
        Ok(())
    }

    /// Ends the current layer; its bound holds for the ones that follow.
    pub(crate) fn end_layer(&mut self, evict_below: Option<i64>) {
        self.bound = self.bound.max(evict_below);
    }

    /// Hands on what was held, and gives what is left to say.
    pub(crate) fn finish(mut self, each: Each<'_>) -> Result<Remainder> {
        let entries: Vec<_> = self.keys.entries.iter().filter(|e| e.weight != 0).collect();
        let held: Vec<_> = self.held.iter().collect();
        for chunk in entries.chunks(OUTPUT_ROWS) {
            let places: Vec<_> = chunk.iter().map(|e| (e.batch as usize, e.row as usize)).collect();
            let batch = interleave_record_batch(&held, &places)?;
            let mut columns = batch.columns().to_vec();
            let weights: Int64Array = chunk.iter().map(|e| Some(e.weight)).collect();
            if let Some(last) = columns.last_mut() {
                *last = Arc::new(weights) as ArrayRef;
            }
            self.output.push_batch(RecordBatch::try_new(batch.schema(), columns)?)?;
        }
        self.output.finish_buffered_batch()?;
        self.hand_on(each)?;
        let evict_below = self.bound.filter(|_| !self.whole);
        Ok(Remainder { deletes: self.deletes, evict_below })
    }

    fn hand_on(&mut self, each: Each<'_>) -> Result<()> {
        while let Some(batch) = self.output.next_completed_batch() {
            each(batch)?;
        }
        Ok(())
    }
}

fn weights<'a>(table: &TableDef, batch: &'a RecordBatch) -> Result<&'a Int64Array> {
    let weights = batch.columns().last().and_then(|c| c.as_primitive_opt::<Int64Type>());
    match weights {
        Some(w) if w.null_count() == 0 => Ok(w),
        _ => Err(broken(table, "a weight is NULL or no Int64")),
    }
}

//! The state of a query: sealed batch by batch, merged in the background, restored table by table.
//!
//! ```text
//! seal(N, deltas)   one segment with what batch N changed, and the manifest that names all that the state is made of
//! commits/N         holds that manifest: before, the segment is garbage; after, it is state
//! restore(manifest) the merged rows of each table, in pieces
//! ```
//! A segment of up to [`CARRIED_BYTES`] is not written here: it goes with the manifest, and the commit carries it
//! (see [`record`](crate::record)). Larger ones are objects of their own, durable when `seal` returns.
//!
//! **Compaction.** Small merges ([`INLINE_BYTES`]) cost no write of their own: the new segment simply takes in its
//! neighbours before it is written. Larger ones run in the runtime's blocking pool; the manifest adopts the result once
//! about half as much has been sealed as was merged. That moment depends on what was sealed and not on how fast the
//! machine is, so a run can be repeated byte by byte; a batch waits only when merging is slower than sealing. The
//! segments that were merged are removed when no remembered commit names them any more.
//!
//! Names of segments hold the last batch, the epoch and a number: no name is ever used twice.

use crate::compaction::{Merge, bytes, due, raise};
use crate::merge::{Merger, settle};
use crate::record::{SegmentRef, StateManifest};
use crate::segment::{Built, Segment, SegmentBuilder};
use crate::state_reader::{StateReader, all_tables, merge_table};
use crate::store::put_if_absent;
use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{BatchId, Epoch, Error, ErrorKind, Result};
use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinHandle;

/// Merges of up to this many bytes of segments are done while sealing.
pub const INLINE_BYTES: u64 = 256 << 10;

/// Segments of up to this many bytes are carried by the commit. Both together cost one durable write instead of two;
/// above that, writing the bytes costs more than waiting for the disk once more.
pub const CARRIED_BYTES: u64 = 64 << 10;

/// The state of a query in its checkpoint; made by [`Checkpoint::state_store`](crate::Checkpoint::state_store).
#[derive(Debug)]
pub struct StateStore {
    place: Place,
    current: StateManifest,
    merging: Vec<Merging>,
    inline_bytes: u64,
    carried_bytes: u64,
}

/// Where segments are, and how new ones are called.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) checkpoint: Path,
    pub(crate) epoch: Epoch,
    /// Counts the names given in this epoch.
    pub(crate) named: Arc<AtomicU64>,
}

/// A merge in the background.
#[derive(Debug)]
struct Merging {
    /// The names of its inputs, neighbours in the current manifest.
    inputs: Vec<String>,
    /// Bytes to be sealed until its result is adopted.
    due_in: u64,
    cancelled: Arc<AtomicBool>,
    result: JoinHandle<Result<Option<SegmentRef>>>,
}

impl Drop for Merging {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.result.abort();
    }
}

impl StateStore {
    pub(crate) fn new(place: Place) -> Self {
        let (inline_bytes, carried_bytes) = (INLINE_BYTES, CARRIED_BYTES);
        Self { place, current: StateManifest::default(), merging: vec![], inline_bytes, carried_bytes }
    }

    /// The same with another limit for merges while sealing, in bytes: 0 for none at all.
    #[must_use]
    pub fn with_inline_bytes(mut self, limit: u64) -> Self {
        self.inline_bytes = limit;
        self
    }

    /// The same with another limit for segments that commits carry, in bytes: 0 for none at all.
    #[must_use]
    pub fn with_carried_bytes(mut self, limit: u64) -> Self {
        self.carried_bytes = limit;
        self
    }

    /// Goes (back) to a version: the next batch builds on it. Needed after a start and after any failed batch.
    ///
    /// # Errors
    /// `Data` naming a segment that is damaged or missing.
    pub async fn restore(&mut self, manifest: &StateManifest) -> Result<StateReader> {
        let reader = self.read(manifest).await?;
        self.merging.clear();
        self.current = manifest.clone();
        Ok(reader)
    }

    /// The state as of a version, which need not be the last one as long as its commit is kept.
    ///
    /// # Errors
    /// As [`StateStore::restore`].
    pub async fn read(&self, manifest: &StateManifest) -> Result<StateReader> {
        StateReader::open(self.place.open_all(manifest).await?).await
    }

    /// Seals what a batch (or several, the last of them being `batch`) changed; no table occurs twice. Gives the
    /// manifest for the commit of `batch`, which must be written before the next call: it may carry the segment. Writes
    /// nothing when nothing changed.
    ///
    /// # Errors
    /// Those of the store; `Internal` for a malformed delta. Go back with [`StateStore::restore`] before going on.
    pub async fn seal(&mut self, batch: BatchId, deltas: Vec<TableDelta>) -> Result<StateManifest> {
        let first = self.current.version.map_or(BatchId(0), BatchId::next);
        if batch < first {
            return Err(Error::internal(format!("state is sealed already: batch={batch} next={first}")));
        }
        let builder = build_deltas(deltas)?;
        (self.current.version, self.current.carried) = (Some(batch), Bytes::new());
        if !builder.is_empty() {
            self.seal_segment(first, batch, builder).await?;
        }
        Ok(self.current.clone())
    }

    async fn seal_segment(&mut self, first: BatchId, last: BatchId, builder: SegmentBuilder) -> Result<()> {
        let mut built = builder.finish(first, last)?;
        self.adopt_due(built.bytes).await?;
        let mut segment = self.place.name(&built, first, last, 0);
        while let Some(merge) = self.inline_merge(&segment) {
            let start = merge.inputs.start;
            let object = segment.object(&self.place.checkpoint);
            let unwritten = Segment::unwritten(self.place.store(), object, &built);
            let mut inputs = self.place.open_all(&self.current.part(start..merge.inputs.end - 1)).await?;
            inputs.push(unwritten);
            let first = self.current.segments[start].first;
            self.current.segments.truncate(start);
            raise(&mut self.current.segments, &merge);
            let Some(merged) =
                merge_segments(&inputs, (first, last), start == 0, &AtomicBool::new(false)).await?
            else {
                return Ok(());
            };
            segment = self.place.name(&merged, first, last, merge.level);
            built = merged;
        }
        if built.bytes <= self.carried_bytes {
            segment.carried_by = Some(last);
            self.current.carried = built.contiguous();
        } else {
            self.place.write(&segment, &built).await?;
        }
        self.current.segments.push(segment);
        self.start_merges().await
    }

    /// The first segment that no merge in the background is working on, nor any after it.
    fn settled_from(&self) -> usize {
        let Some(last) = self.merging.last().and_then(|m| m.inputs.last()) else { return 0 };
        self.current.segments.iter().position(|s| s.name == *last).map_or(0, |i| i + 1)
    }

    /// The merge that the new segment makes due, if it is one of its inputs and they are small.
    fn inline_merge(&self, new: &SegmentRef) -> Option<Merge> {
        let mut segments = self.current.segments.clone();
        segments.push(new.clone());
        let merge = due(&segments, self.settled_from())?;
        let small = bytes(&segments[merge.inputs.clone()]) <= self.inline_bytes;
        (small && merge.inputs.end == segments.len()).then_some(merge)
    }

    async fn start_merges(&mut self) -> Result<()> {
        while let Some(merge) = due(&self.current.segments, self.settled_from()) {
            raise(&mut self.current.segments, &merge);
            let inputs = self.current.part(merge.inputs.clone());
            let due_in = bytes(&inputs.segments) / 2;
            let names: Vec<_> = inputs.segments.iter().map(|s| s.name.clone()).collect();
            let cancelled = Arc::new(AtomicBool::new(false));
            // The name is given here, so that it does not depend on which merge ends first.
            let name = self.place.next_name(inputs.segments.last().map_or(BatchId(0), |s| s.last));
            let (place, flag, whole) = (self.place.clone(), Arc::clone(&cancelled), merge.inputs.start == 0);
            let work = async move { place.merge(&inputs, name, merge.level, whole, &flag).await };
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                // Nobody else is there to do it.
                let merged = work.await?;
                self.adopt(&names, merged)?;
                if !self.current.segments.iter().any(|s| s.carried_by == self.current.version) {
                    self.current.carried = Bytes::new();
                }
                continue;
            };
            let result = tokio::task::spawn_blocking(move || runtime.block_on(work));
            self.merging.push(Merging { inputs: names, due_in, cancelled, result });
        }
        Ok(())
    }

    /// Counts what is about to be sealed, and adopts the merges that are due by it.
    async fn adopt_due(&mut self, sealing: u64) -> Result<()> {
        for merging in &mut self.merging {
            merging.due_in = merging.due_in.saturating_sub(sealing);
        }
        while let Some(at) = self.merging.iter().position(|m| m.due_in == 0) {
            let mut merging = self.merging.remove(at);
            let result = (&mut merging.result).await;
            let result =
                result.unwrap_or_else(|e| Err(Error::internal(format!("merging state failed: {e}"))));
            match result {
                Ok(merged) => self.adopt(&merging.inputs, merged)?,
                Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::ResourceExhausted) => {
                    tracing::warn!(error = %e, "merging state failed; it is tried again");
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn adopt(&mut self, inputs: &[String], mut merged: Option<SegmentRef>) -> Result<()> {
        let segments = &mut self.current.segments;
        let start = segments.iter().position(|s| Some(&s.name) == inputs.first());
        let found = start.and_then(|at| segments.get(at..at + inputs.len()).map(|found| (at, found)));
        match found {
            Some((at, found)) if found.iter().map(|s| &s.name).eq(inputs) => {
                let newer = segments[at + inputs.len()..].iter().map(|s| s.level).max();
                if let Some(merged) = &mut merged {
                    merged.level = merged.level.max(newer.unwrap_or(0));
                }
                segments.splice(at..at + inputs.len(), merged);
                Ok(())
            }
            _ => Err(Error::internal("merged segments are not those of the state")),
        }
    }
}

impl Place {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    fn next_name(&self, last: BatchId) -> String {
        format!("{last}-{}-{}.seg", self.epoch, self.named.fetch_add(1, Ordering::Relaxed))
    }

    fn name(&self, built: &Built, first: BatchId, last: BatchId, level: u32) -> SegmentRef {
        reference(built, self.next_name(last), (first, last), level)
    }

    async fn write(&self, segment: &SegmentRef, built: &Built) -> Result<()> {
        let object = segment.object(&self.checkpoint);
        match put_if_absent(&*self.store, &object, built.payload()).await? {
            true => Ok(()),
            false => Err(Error::internal(format!("name of a segment was used before: `{object}`"))),
        }
    }

    async fn open_all(&self, manifest: &StateManifest) -> Result<Vec<Segment>> {
        let open = manifest
            .segments
            .iter()
            .map(|s| Segment::open(self.store(), s.object(&self.checkpoint), s, manifest.held(s)));
        futures::future::try_join_all(open).await
    }

    /// A merge in the background: reads, merges and writes.
    async fn merge(
        &self,
        inputs: &StateManifest,
        name: String,
        level: u32,
        whole: bool,
        cancelled: &AtomicBool,
    ) -> Result<Option<SegmentRef>> {
        let (Some(oldest), Some(newest)) = (inputs.segments.first(), inputs.segments.last()) else {
            return Ok(None);
        };
        let range = (oldest.first, newest.last);
        let segments = self.open_all(inputs).await?;
        let Some(built) = merge_segments(&segments, range, whole, cancelled).await? else { return Ok(None) };
        let merged = reference(&built, name, range, level);
        self.write(&merged, &built).await?;
        Ok(Some(merged))
    }
}

fn reference(built: &Built, name: String, (first, last): (BatchId, BatchId), level: u32) -> SegmentRef {
    let Built { bytes, rows, crc, .. } = *built;
    SegmentRef { name, carried_by: None, first, last, level, bytes, rows, crc }
}

fn build_deltas(deltas: Vec<TableDelta>) -> Result<SegmentBuilder> {
    let mut builder = SegmentBuilder::default();
    let mut seen = BTreeSet::new();
    for delta in deltas {
        if !seen.insert((delta.table.operator, delta.table.name.clone())) {
            let TableDef { operator, name, .. } = &delta.table;
            return Err(Error::internal(format!(
                "table is sealed twice: operator={operator} table=`{name}`"
            )));
        }
        let delta = settle(delta)?;
        let mut table = builder.table(&delta.table)?;
        for batch in &delta.upserts {
            table.upserts(batch)?;
        }
        let distinct = matches!(delta.table.kind, TableKind::Keyed { .. });
        table.finish(&delta.deletes, delta.evict_below, distinct)?;
    }
    Ok(builder)
}

/// One segment with the effect of neighbours, oldest first; `None` when they have none.
async fn merge_segments(
    segments: &[Segment],
    (first, last): (BatchId, BatchId),
    whole: bool,
    cancelled: &AtomicBool,
) -> Result<Option<Built>> {
    let mut builder = SegmentBuilder::default();
    for table in all_tables(segments).await? {
        let mut out = builder.table(&table)?;
        let each = &mut |batch: RecordBatch| match cancelled.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Cancelled, "merging state was cancelled")),
            false => out.upserts(&batch),
        };
        let merger = Merger::new(&table, whole)?;
        let rest = merge_table(segments, &table, merger, each).await?;
        out.finish(&rest.deletes, rest.evict_below, true)?;
    }
    if builder.is_empty() { Ok(None) } else { builder.finish(first, last).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{Twin, change, deltas, deltas_of, rows_of, tables};
    use object_store::memory::InMemory;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use std::collections::BTreeMap;

    fn place(store: &Arc<dyn ObjectStore>, epoch: u64) -> Place {
        let checkpoint = Path::from("q");
        Place { store: Arc::clone(store), checkpoint, epoch: Epoch(epoch), named: Arc::default() }
    }

    /// A store of which every segment is an object, since nothing is committed here.
    fn uncarried(place: Place) -> StateStore {
        StateStore::new(place).with_carried_bytes(0)
    }

    async fn contents(reader: &StateReader) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        for table in tables() {
            let mut rows = vec![];
            let each = &mut |batch| {
                rows.extend(rows_of(&batch));
                Ok(())
            };
            reader.rows(table.operator, &table.name, each).await.unwrap();
            rows.sort();
            found.insert(table.name, rows);
        }
        found
    }

    #[tokio::test]
    async fn restored_state_is_what_all_deltas_leave_one_by_one() {
        for seed in 0..6 {
            let mut random = SmallRng::seed_from_u64(seed);
            let inline = [0, 60_000, INLINE_BYTES][seed as usize % 3];
            let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let mut store = uncarried(place(&memory, 1)).with_inline_bytes(inline);
            let mut twin = Twin::default();
            for n in 0..60 {
                // A large first batch, so that there is something below the merges that follow.
                let deltas = if n == 0 { deltas_of(&mut random, &[500]) } else { deltas(&mut random) };
                twin.apply(&deltas);
                let manifest =
                    store.seal(BatchId(n), deltas.into_iter().map(|d| d.delta).collect()).await.unwrap();
                if random.random_bool(0.1) {
                    store = uncarried(place(&memory, n + 2)).with_inline_bytes(inline);
                    store.restore(&manifest).await.unwrap();
                }
                let found = contents(&store.read(&manifest).await.unwrap()).await;
                assert_eq!(found, twin.contents(), "seed={seed} batch={n}");
                assert!(inline < INLINE_BYTES || manifest.segments.len() <= 16, "seed={seed} batch={n}");
            }
        }
    }

    #[tokio::test]
    async fn neighbours_may_be_merged_in_any_order() {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for seed in 100..112 {
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut twin, mut segments) = (Twin::default(), vec![]);
            for _ in 0..8 {
                let deltas = deltas(&mut random);
                twin.apply(&deltas);
                let builder = build_deltas(deltas.into_iter().map(|d| d.delta).collect()).unwrap();
                segments.push(segment(&memory, &builder.finish(BatchId(0), BatchId(0)).unwrap()));
            }
            while segments.len() > 1 {
                let from = random.random_range(0..segments.len() - 1);
                let to = random.random_range(from + 1..segments.len()) + 1;
                let whole = from == 0 && random.random_bool(0.7);
                let range = (BatchId(0), BatchId(0));
                let flag = AtomicBool::new(false);
                let merged = merge_segments(&segments[from..to], range, whole, &flag).await.unwrap();
                segments.splice(from..to, merged.map(|built| segment(&memory, &built)));
                let reader = StateReader::open(std::mem::take(&mut segments)).await.unwrap();
                assert_eq!(contents(&reader).await, twin.contents(), "seed={seed}");
                segments = reader.segments;
            }
        }
    }

    #[tokio::test]
    async fn evicted_row_still_hides_the_older_row_of_its_key() {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let steps = [(vec![vec![1, 10]], None), (vec![vec![1, 3]], None), (vec![], Some(5))];
        let (mut twin, mut segments) = (Twin::default(), vec![]);
        for (rows, evict_below) in steps {
            let deltas = [change("few_keys", &rows, evict_below)];
            twin.apply(&deltas);
            let builder = build_deltas(deltas.map(|d| d.delta).into()).unwrap();
            segments.push(segment(&memory, &builder.finish(BatchId(0), BatchId(0)).unwrap()));
        }
        assert!(twin.contents()["few_keys"].is_empty());
        let (range, flag) = ((BatchId(0), BatchId(0)), AtomicBool::new(false));
        let merged = merge_segments(&segments[1..], range, false, &flag).await.unwrap();
        segments.splice(1.., merged.map(|built| segment(&memory, &built)));
        assert_eq!(segments.len(), 2);
        let reader = StateReader::open(segments).await.unwrap();
        assert_eq!(contents(&reader).await, twin.contents());
    }

    fn segment(store: &Arc<dyn ObjectStore>, built: &Built) -> Segment {
        Segment::unwritten(Arc::clone(store), Path::from("x"), built)
    }

    #[tokio::test]
    async fn same_run_twice_gives_the_same_bytes() {
        let mut runs = vec![];
        for _ in 0..2 {
            let mut random = SmallRng::seed_from_u64(5);
            let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let mut store = uncarried(place(&memory, 1)).with_inline_bytes(2_000);
            let mut manifests = vec![];
            for n in 0..80 {
                let deltas = deltas(&mut random).into_iter().map(|d| d.delta).collect();
                manifests.push(store.seal(BatchId(n), deltas).await.unwrap());
            }
            runs.push(manifests);
        }
        assert_eq!(runs[0], runs[1]);
    }

    #[tokio::test]
    async fn nothing_changed_writes_nothing() {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let mut store = StateStore::new(place(&memory, 1));
        let mut empty = deltas(&mut SmallRng::seed_from_u64(1)).remove(0).delta;
        (empty.upserts, empty.deletes, empty.evict_below) = (vec![], vec![], None);
        let manifest = store.seal(BatchId(3), vec![empty]).await.unwrap();
        assert_eq!(manifest, StateManifest { version: Some(BatchId(3)), ..Default::default() });
        assert!(store.seal(BatchId(3), vec![]).await.is_err(), "batch 3 is sealed");
    }
}

//! What a checkpoint forgets: old batches, and state segments that no batch it remembers names.
//!
//! A run removes something only after its own first commit. From then on no older run can commit (the batch that it
//! would have to decide is taken), so nothing that an older run has staged can be needed any more. Until then it could
//! be: an older run may win the commit that a newer one is preparing.
//!
//! Objects are counted by the remembered commits that need them, so a purge costs what it removes. A commit needs itself
//! and the objects that its segments are in, which may be older commits: such a commit stays when it is forgotten, for
//! the segment that it carries and for nothing else. Merging keeps their number small.

use crate::checkpoint::Logs;
use crate::record::{CommitRecord, StateManifest};
use crate::store::remove;
use acequia_core::{BatchId, Epoch, Result};
use object_store::path::Path;
use std::collections::{BTreeMap, HashMap};

/// What is remembered of the batches that are kept.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// The objects that each remembered commit needs, itself first.
    kept: BTreeMap<BatchId, Vec<Path>>,
    /// How many remembered commits need an object.
    needed: HashMap<Path, usize>,
    /// To be removed, in this order.
    doomed: Vec<Path>,
    /// Whether what earlier runs left has been looked through.
    swept: bool,
}

impl Retention {
    /// Remembers a commit of this run.
    pub(crate) fn committed(&mut self, logs: &Logs<'_>, batch: BatchId, state: &StateManifest) {
        if self.kept.contains_key(&batch) {
            return;
        }
        let own = logs.object("commits", batch.0);
        let segments = state.segments.iter().map(|s| s.object(logs.prefix)).filter(|object| *object != own);
        let objects: Vec<Path> = std::iter::once(own.clone()).chain(segments).collect();
        for object in &objects {
            *self.needed.entry(object.clone()).or_default() += 1;
        }
        self.kept.insert(batch, objects);
    }

    pub(crate) async fn purge(&mut self, logs: &Logs<'_>, own: Epoch, keep: usize) -> Result<()> {
        let Some((&last, _)) = self.kept.last_key_value() else { return Ok(()) };
        if !self.swept {
            self.sweep(logs, own, last, keep as u64).await?;
            self.swept = true;
        }
        while self.kept.len() > keep {
            self.forget_oldest(logs);
        }
        for (done, object) in self.doomed.iter().enumerate() {
            if let Err(e) = remove(logs.store, object).await {
                self.doomed.drain(..done);
                return Err(e);
            }
        }
        self.doomed.clear();
        Ok(())
    }

    /// Dooms the oldest batch: its commit first, so that no commit ever names a segment that is gone.
    fn forget_oldest(&mut self, logs: &Logs<'_>) {
        let Some((batch, objects)) = self.kept.pop_first() else { return };
        for object in objects {
            if let Some(count) = self.needed.get_mut(&object) {
                *count -= 1;
                if *count == 0 {
                    self.needed.remove(&object);
                    self.doomed.push(object);
                }
            }
        }
        self.doomed.push(logs.object("offsets", batch.0));
    }

    /// Remembers the batches of earlier runs that are to be kept, and dooms all else that earlier runs have left.
    async fn sweep(&mut self, logs: &Logs<'_>, own: Epoch, last: BatchId, keep: u64) -> Result<()> {
        let first = self.kept.first_key_value().map_or(last, |(b, _)| *b);
        let mut oldest = first.0;
        while oldest > 0 && last.0 - oldest + 1 < keep {
            let Some((commit, _)) = logs.read::<CommitRecord>("commits", oldest - 1).await? else { break };
            self.committed(logs, commit.batch, &commit.state);
            oldest -= 1;
        }
        let mut left = vec![];
        for log in ["commits", "offsets"] {
            let old = logs.numbers(log).await?.into_iter().take_while(|n| *n < oldest);
            left.extend(old.map(|n| logs.object(log, n)));
        }
        let abandoned = logs.names("state").await?.into_iter();
        let abandoned = abandoned.filter(|name| epoch_of(name).is_some_and(|e| e < own));
        left.extend(abandoned.map(|name| logs.directory("state").join(name)));
        self.doomed.extend(left.into_iter().filter(|object| !self.needed.contains_key(object)));
        Ok(())
    }
}

/// The run that wrote a segment, from its name.
fn epoch_of(segment: &str) -> Option<Epoch> {
    let stem = segment.strip_suffix(".seg")?;
    stem.split('-').nth(1)?.parse().ok().map(Epoch)
}

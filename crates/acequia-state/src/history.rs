//! Looking into a checkpoint without taking it over: what state its query had after a batch.
//!
//! Nothing is written and no epoch is claimed, so a query that runs goes on undisturbed. It may forget an old batch
//! while that is read; the reader then finds a file missing and says so.

use crate::checkpoint::Logs;
use crate::record::CommitRecord;
use crate::state_reader::StateReader;
use crate::state_store::{Place, StateStore};
use acequia_core::{BatchId, Epoch, Error, Result};
use object_store::ObjectStore;
use object_store::path::Path;
use std::sync::Arc;

/// The batches that a checkpoint still knows.
#[derive(Debug, Clone)]
pub struct History {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl History {
    /// That of the checkpoint in this directory.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix }
    }

    /// What was committed for a batch, or for the last one, and the state after it.
    ///
    /// # Errors
    /// `Invalid` when there is no such batch (any more); `Data` for damage; those of the store.
    pub async fn state(&self, batch: Option<BatchId>) -> Result<(CommitRecord, StateReader)> {
        let logs = Logs { store: &*self.store, prefix: &self.prefix };
        let commits = logs.numbers("commits").await?;
        let none = || Error::invalid("no batch was committed yet");
        let last = commits.last().copied().ok_or_else(none)?;
        let number = batch.map_or(last, |batch| batch.0);
        let Some((commit, _)) = logs.read::<CommitRecord>("commits", number).await? else {
            let first = commits.first().copied().unwrap_or(last);
            return Err(Error::invalid(format!(
                "the checkpoint does not know this batch: batch={number} kept=[{first}, {last}]; the last {} are kept",
                commits.len()
            )));
        };
        let place = Place {
            store: Arc::clone(&self.store),
            checkpoint: self.prefix.clone(),
            epoch: Epoch::default(),
            named: Arc::default(),
        };
        let reader = StateStore::new(place).read(&commit.state).await?;
        Ok((commit, reader))
    }
}

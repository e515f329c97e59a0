//! Files of a checkpoint. The input is a sequence of files, each `name length-as-u16-le content` with the name ended
//! by a zero byte; see [`pack`]. In a build for fuzzing the checksums of records and footers are not compared, so that
//! what is behind them is reached.

use crate::block_on;
use acequia_core::Result;
use acequia_state::Checkpoint;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// More files than that say nothing new.
const MAX_FILES: usize = 64;

/// Opens the files as a checkpoint and reads all that is in it.
pub fn run(data: &[u8]) {
    block_on(async {
        let store = Arc::new(InMemory::new());
        for (name, content) in unpack(data).into_iter().take(MAX_FILES) {
            if let Ok(path) = Path::parse(&name)
                && store.put(&path, content.to_vec().into()).await.is_err()
            {
                return;
            }
        }
        // An error is an answer.
        let _ = read(store).await;
    });
}

async fn read(store: Arc<dyn ObjectStore>) -> Result<()> {
    let checkpoint = Checkpoint::open(store, Path::default()).await?;
    let latest = checkpoint.latest().await?;
    let Some(commit) = latest.commit else { return Ok(()) };
    let mut state = checkpoint.state_store();
    let reader = state.restore(&commit.state).await?;
    for table in reader.tables() {
        let _ = reader.rows(table.operator, &table.name, &mut |_| Ok(())).await;
    }
    checkpoint.purge(1).await
}

/// Files as one input.
pub fn pack<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut packed = vec![];
    for (name, content) in files {
        let length = content.len().min(usize::from(u16::MAX));
        packed.extend_from_slice(name.as_bytes());
        packed.push(0);
        packed.extend_from_slice(&(length as u16).to_le_bytes());
        packed.extend_from_slice(&content[..length]);
    }
    packed
}

fn unpack(mut data: &[u8]) -> Vec<(String, &[u8])> {
    let mut files = vec![];
    while let Some(end) = data.iter().position(|byte| *byte == 0) {
        let (name, rest) = (String::from_utf8_lossy(&data[..end]).into_owned(), &data[end + 1..]);
        let Some((length, rest)) = rest.split_first_chunk() else { break };
        let (content, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        files.push((name, content));
        data = rest;
    }
    files
}

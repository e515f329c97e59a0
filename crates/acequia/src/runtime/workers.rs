//! The threads on which large batches are computed: one pool for the process, a thread per core, made when it is first
//! needed. Small batches never come here: a hand-over takes longer than they do.

use crate::exec::cores;
use acequia_core::{Error, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

static POOL: Mutex<Option<Runtime>> = Mutex::new(None);

/// The pool.
fn pool() -> Result<Handle> {
    let mut pool = POOL.lock();
    if let Some(pool) = pool.as_ref() {
        return Ok(pool.handle().clone());
    }
    let made = Builder::new_multi_thread()
        .worker_threads(cores())
        .thread_name("acequia-worker")
        .enable_all()
        .build();
    let made = made.map_err(|e| Error::from(e).context("start the threads for large batches"))?;
    Ok(pool.insert(made).handle().clone())
}

/// Computes on the pool. A panic goes on in the caller; what is not waited for any more is not computed further.
pub(super) async fn compute<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let mut task = JoinSet::new();
    task.spawn_on(work, &pool()?);
    match task.join_next().await {
        Some(Ok(done)) => Ok(done),
        Some(Err(failed)) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(Error::internal(format!("a worker thread has ended: {cancelled}"))),
        },
        None => Err(Error::internal("a worker thread has lost its work")),
    }
}

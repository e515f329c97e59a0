//! A store and a sink that share one count of operations and fail the n-th one: the process dies there, or lives and is
//! told so. Or every operation waits for its turn among those of another run.

use super::turns::Turns;
use acequia_core::{BatchId, Error, Result, Sink, SinkBatch, SinkContext, SinkReceipt, SinkWriter};
use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What becomes of an operation that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process dies and nothing has happened.
    Before,
    /// The process dies and it has happened.
    After,
    /// It is refused, this once.
    Refused,
    /// It has happened, and an error is what comes back, this once.
    Unanswered,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::Before, Self::After, Self::Refused, Self::Unanswered];
}

/// Which operation fails.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// The n-th of all, counted from 1.
    Operation(usize),
    /// The first one on this name: an object of the checkpoint, or a step of the sink such as `publish 3`.
    Name(String),
}

#[derive(Debug, Default)]
struct Plan {
    operations: usize,
    fails: Option<(At, Fault)>,
    dead: bool,
    /// How many more operations fail until all is well again; `None` for ever.
    lasts: Option<usize>,
    stops: Vec<Stop>,
    turns: Option<Turns>,
    stale: bool,
}

/// An operation that waits to be let go.
#[derive(Debug)]
struct Stop {
    name: String,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// The operations of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Operations {
    plan: Arc<Mutex<Plan>>,
}

/// The test's side of an operation that waits.
pub(super) struct Pause {
    pub(super) reached: oneshot::Receiver<()>,
    pub(super) go: oneshot::Sender<()>,
}

impl Operations {
    pub(super) fn failing(at: At, fault: Fault) -> Self {
        let plan = Plan { fails: Some((at, fault)), ..Plan::default() };
        Self { plan: Arc::new(Mutex::new(plan)) }
    }

    /// Operations that each wait for their turn.
    pub(super) fn in_turns(turns: Turns) -> Self {
        let plan = Plan { turns: Some(turns), ..Plan::default() };
        Self { plan: Arc::new(Mutex::new(plan)) }
    }

    /// No listing has the object that was put last, by whichever run.
    pub(super) fn stale(self) -> Self {
        self.plan.lock().stale = true;
        self
    }

    /// Fails so many operations in a row, as a network that is away for a while.
    pub(super) fn failing_for(at: At, fault: Fault, operations: usize) -> Self {
        let plan = Plan { fails: Some((at, fault)), lasts: Some(operations - 1), ..Plan::default() };
        Self { plan: Arc::new(Mutex::new(plan)) }
    }

    pub(super) fn count(&self) -> usize {
        self.plan.lock().operations
    }

    /// Makes the first operation on this name wait before it has any effect.
    pub(super) fn pause(&self, name: &str) -> Pause {
        let ((reached, told), (go, gone)) = (oneshot::channel(), oneshot::channel());
        self.plan.lock().stops.push(Stop { name: name.to_string(), reached, go: gone });
        Pause { reached: told, go }
    }

    /// Counts an operation; whether it fails after its effect.
    async fn begin(&self, name: &str) -> Result<bool, Crash> {
        let (stop, turns) = {
            let mut plan = self.plan.lock();
            let at = plan.stops.iter().position(|stop| stop.name == name);
            (at.map(|at| plan.stops.remove(at)), plan.turns.clone())
        };
        if let Some(turns) = turns {
            turns.wait(name).await.map_err(|_| Crash)?;
        }
        if let Some(stop) = stop {
            stop.reached.send(()).ok();
            stop.go.await.ok();
        }
        self.count_one(name)
    }

    fn count_one(&self, name: &str) -> Result<bool, Crash> {
        let mut plan = self.plan.lock();
        if plan.dead {
            match &mut plan.lasts {
                Some(0) => (plan.dead, plan.fails) = (false, None),
                Some(left) => {
                    *left -= 1;
                    return Err(Crash);
                }
                None => return Err(Crash),
            }
        }
        plan.operations += 1;
        let hit = match &plan.fails {
            Some((At::Operation(at), _)) => *at == plan.operations,
            Some((At::Name(wanted), _)) => wanted == name,
            None => false,
        };
        if !hit {
            return Ok(false);
        }
        let fault = plan.fails.take().map(|(_, fault)| fault);
        plan.dead = matches!(fault, Some(Fault::Before | Fault::After));
        match fault {
            Some(Fault::After | Fault::Unanswered) => Ok(true),
            _ => Err(Crash),
        }
    }
}

/// What a dead process says.
#[derive(Debug)]
struct Crash;

impl From<Crash> for object_store::Error {
    fn from(_: Crash) -> Self {
        Self::Generic { store: "FaultStore", source: "injected".into() }
    }
}

impl From<Crash> for Error {
    fn from(_: Crash) -> Self {
        Self::unavailable("injected")
    }
}

fn end<T, E: From<Crash>>(fails: bool, result: Result<T, E>) -> Result<T, E> {
    if fails { Err(Crash.into()) } else { result }
}

/// A store whose operations are counted.
#[derive(Debug, Clone)]
pub(super) struct FaultStore {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) operations: Operations,
    /// What any run has put last.
    pub(super) last_put: Arc<Mutex<Option<Path>>>,
}

impl std::fmt::Display for FaultStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let fails = self.operations.begin(at.as_ref()).await?;
        let put = self.inner.put_opts(at, payload, options).await;
        if put.is_ok() {
            *self.last_put.lock() = Some(at.clone());
        }
        end(fails, put)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let fails = self.operations.begin(&format!("get {at}")).await?;
        end(fails, self.inner.get_opts(at, options).await)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let this = self.clone();
        let deleted = locations.and_then(move |at| {
            let this = this.clone();
            async move {
                let fails = this.operations.begin(&format!("delete {at}")).await?;
                end(fails, this.inner.delete(&at).await.map(|()| at))
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let name = format!("list {}", prefix.as_ref().map_or("", |prefix| prefix.as_ref()));
            if this.operations.begin(&name).await? {
                return Err(object_store::Error::from(Crash));
            }
            let unseen = this.last_put.lock().clone().filter(|_| this.operations.plan.lock().stale);
            let seen = move |object: &ObjectMeta| Some(&object.location) != unseen.as_ref();
            let objects = this.inner.list(prefix.as_ref());
            Ok(objects.try_filter(move |object| futures::future::ready(seen(object))))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A batch's rows as text, sorted; deletes begin with `- `.
pub(super) type Rows = Vec<String>;

/// Where [`RecordingSink`] writes: outlives every run.
#[derive(Debug, Default)]
pub(super) struct Output {
    published: Mutex<BTreeMap<u64, Rows>>,
}

impl Output {
    /// Every batch that was published.
    pub(super) fn published(&self) -> BTreeMap<u64, Rows> {
        self.published.lock().clone()
    }
}

/// A sink that takes every mode, keeps what it publishes batch by batch, and checks the order.
#[derive(Debug)]
pub(super) struct RecordingSink {
    pub(super) output: Arc<Output>,
    pub(super) operations: Operations,
}

struct Writer {
    operations: Operations,
    batch: BatchId,
    rows: Rows,
}

/// The rows of a batch as text.
pub(crate) fn lines(rows: &RecordBatch, prefix: &str) -> Rows {
    let row = |r: usize| {
        let values = rows.columns().iter().map(|column| array_value_to_string(column, r).unwrap());
        format!("{prefix}{}", values.collect::<Vec<_>>().join("|"))
    };
    (0..rows.num_rows()).map(row).collect()
}

#[async_trait]
impl Sink for RecordingSink {
    async fn open(&mut self, _context: SinkContext) -> Result<()> {
        let fails = self.operations.begin("open").await?;
        end(fails, Ok(()))
    }

    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        let fails = self.operations.begin(&format!("writer {batch}")).await?;
        end(fails, Ok(Box::new(Writer { operations: self.operations.clone(), batch, rows: vec![] })))
    }

    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        let fails = self.operations.begin(&format!("publish {batch}")).await?;
        {
            let mut published = self.output.published.lock();
            let rows: Rows = serde_json::from_value(receipts[0].payload.clone()).unwrap();
            let next = published.last_key_value().map_or(0, |(last, _)| last + 1);
            match published.get(&batch.0) {
                Some(before) => assert_eq!(*before, rows, "batch {batch} is published again as it was"),
                None => {
                    assert_eq!(next, batch.0, "batches are published in order");
                    published.insert(batch.0, rows);
                }
            }
        }
        end(fails, Ok(()))
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        let fails = self.operations.begin("last_published").await?;
        let last = self.output.published.lock().last_key_value().map(|(batch, _)| BatchId(*batch));
        end(fails, Ok(last))
    }

    fn durable(&self) -> bool {
        true
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        let fails = self.operations.begin(&format!("write {}", self.batch)).await?;
        self.rows.extend(lines(&batch.rows, ""));
        if let Some(deletes) = &batch.deletes {
            self.rows.extend(lines(deletes, "- "));
        }
        end(fails, Ok(()))
    }

    async fn finish(mut self: Box<Self>) -> Result<SinkReceipt> {
        let fails = self.operations.begin(&format!("finish {}", self.batch)).await?;
        self.rows.sort();
        let receipt = SinkReceipt { payload: serde_json::json!(self.rows), rows: self.rows.len() as u64 };
        end(fails, Ok(receipt))
    }
}

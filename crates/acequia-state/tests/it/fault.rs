//! A store that counts its operations and fails the n-th one, before or after its effect.

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// When an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happened.
    Before,
    /// It happened, but the answer was lost.
    After,
}

#[derive(Debug, Default)]
struct Plan {
    operations: usize,
    fail_at: Option<(usize, Fault)>,
    dead: bool,
    before_put: Option<(Path, Meanwhile)>,
}

/// What others do in the middle of an operation.
struct Meanwhile(BoxFuture<'static, ()>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// The wrapper. Once it has failed it stays dead, as a process that crashed.
#[derive(Debug, Clone)]
pub(crate) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    pub(crate) fn failing(inner: Arc<dyn ObjectStore>, at: usize, fault: Fault) -> Self {
        let plan = Plan { fail_at: Some((at, fault)), ..Plan::default() };
        Self { inner, plan: Arc::new(Mutex::new(plan)) }
    }

    /// Has this happen when the object is about to be put.
    pub(crate) fn before_put(&self, object: &str, meanwhile: impl Future<Output = ()> + Send + 'static) {
        self.plan.lock().before_put = Some((Path::from(object), Meanwhile(Box::pin(meanwhile))));
    }

    pub(crate) fn operations(&self) -> usize {
        self.plan.lock().operations
    }

    fn begin(&self) -> Result<bool> {
        let mut plan = self.plan.lock();
        if plan.dead {
            return Err(crash());
        }
        plan.operations += 1;
        match plan.fail_at {
            Some((at, fault)) if at == plan.operations => {
                plan.dead = true;
                if fault == Fault::Before { Err(crash()) } else { Ok(true) }
            }
            _ => Ok(false),
        }
    }
}

fn crash() -> Error {
    Error::Generic { store: "FaultStore", source: "injected".into() }
}

fn end<T>(fails: bool, result: Result<T>) -> Result<T> {
    if fails { Err(crash()) } else { result }
}

impl std::fmt::Display for FaultStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let hooked = self.plan.lock().before_put.take_if(|(object, _)| object == at);
        if let Some((_, meanwhile)) = hooked {
            meanwhile.0.await;
        }
        let fails = self.begin()?;
        end(fails, self.inner.put_opts(at, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        o: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, o).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let fails = self.begin()?;
        end(fails, self.inner.get_opts(at, options).await)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = locations.and_then(move |at| {
            let this = this.clone();
            async move {
                let fails = this.begin()?;
                end(fails, this.inner.delete(&at).await.map(|()| at))
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.begin() {
            Ok(false) => self.inner.list(prefix),
            _ => futures::stream::iter([Err(crash())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// All objects, sorted.
pub(crate) async fn objects(store: &dyn ObjectStore) -> Vec<String> {
    let listed = store.list(None).map_ok(|m| m.location.to_string());
    let mut names: Vec<_> = listed.try_collect().await.unwrap();
    names.sort();
    names
}

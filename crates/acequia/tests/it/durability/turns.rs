//! Two runs, one step at a time: each operation of either waits until a driver lets it go.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// One of two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Run {
    A,
    B,
}

impl Run {
    pub(super) fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }
}

/// The driver lets nobody go any more.
#[derive(Debug)]
pub(super) struct Abandoned;

/// What a run is doing.
#[derive(Debug, Default)]
enum Doing {
    #[default]
    Computing,
    Waiting {
        operation: String,
        go: oneshot::Sender<()>,
    },
    Ended,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the driver has gone.
    doing: Mutex<Option<[Doing; 2]>>,
    changed: Notify,
}

/// The side of one run.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    run: Run,
    /// What a run does at the same time waits in a line.
    line: Arc<tokio::sync::Mutex<()>>,
    shared: Arc<Shared>,
}

impl Turns {
    /// Waits for the turn of an operation. What only the run itself sees of its own output needs no turn.
    pub(super) async fn wait(&self, operation: &str) -> Result<(), Abandoned> {
        if ["open", "writer ", "write ", "finish "].iter().any(|own| operation.starts_with(own)) {
            return Ok(());
        }
        let _first = self.line.lock().await;
        let (go, gone) = oneshot::channel();
        self.set(Doing::Waiting { operation: operation.to_string(), go })?;
        gone.await.map_err(|_| Abandoned)
    }

    pub(super) fn ended(&self) {
        // A driver that has abandoned the runs does not look any more.
        let _ = self.set(Doing::Ended);
    }

    fn set(&self, doing: Doing) -> Result<(), Abandoned> {
        let mut all = self.shared.doing.lock();
        let own = &mut all.as_mut().ok_or(Abandoned)?[self.run as usize];
        assert!(!matches!(own, Doing::Waiting { .. }), "a run does one thing at a time");
        *own = doing;
        drop(all);
        self.shared.changed.notify_one();
        Ok(())
    }
}

/// The side of the driver.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
}

impl Driver {
    pub(super) fn new() -> Self {
        let doing = Mutex::new(Some(Default::default()));
        Self { shared: Arc::new(Shared { doing, changed: Notify::new() }) }
    }

    pub(super) fn turns(&self, run: Run) -> Turns {
        Turns { run, line: Arc::default(), shared: Arc::clone(&self.shared) }
    }

    /// Waits until both runs wait, or have ended; then tells what each waits for.
    pub(super) async fn settled(&self) -> [Option<String>; 2] {
        loop {
            let changed = self.shared.changed.notified();
            {
                let all = self.shared.doing.lock();
                let [a, b] = all.as_ref().unwrap();
                if ![a, b].iter().any(|doing| matches!(doing, Doing::Computing)) {
                    return [a, b].map(|doing| match doing {
                        Doing::Waiting { operation, .. } => Some(operation.clone()),
                        _ => None,
                    });
                }
            }
            changed.await;
        }
    }

    /// Lets a run do what it waits for.
    pub(super) fn go(&self, run: Run) {
        let doing = std::mem::take(&mut self.shared.doing.lock().as_mut().unwrap()[run as usize]);
        let Doing::Waiting { go, .. } = doing else { panic!("{run:?} does not wait") };
        go.send(()).unwrap();
    }

    /// Fails everything that waits or will.
    pub(super) fn abandon(&self) {
        *self.shared.doing.lock() = None;
    }
}

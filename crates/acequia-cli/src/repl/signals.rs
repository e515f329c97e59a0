//! Ctrl-C and the signals that end the process.
//!
//! While a line is edited Ctrl-C is a key and the editor's. At any other time it is a signal: it interrupts what the
//! prompt waits for, or ends a run whose input is piped, as SIGTERM does. SIGTERM finishes the batches that run,
//! commits them, and leaves.

use super::activity::Activity;
use super::screen::Screen;
use acequia::{Result, Session};
use std::sync::Arc;
use tokio::sync::Notify;
#[cfg(unix)]
use {
    acequia::Error,
    tokio::signal::unix::{Signal, SignalKind, signal},
};

/// Tells who waits that Ctrl-C was pressed.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupts(Arc<Notify>);

impl Interrupts {
    /// Returns at the next Ctrl-C, or at once for one that nobody has waited for yet: it came between the line and
    /// what the line does.
    pub(super) async fn next(&self) {
        self.0.notified().await;
    }

    /// What was pressed up to now has had its effect.
    pub(super) fn forget(&self) {
        let mut pressed = std::pin::pin!(self.0.notified());
        pressed.as_mut().enable();
    }
}

/// What a signal acts on.
pub(super) struct Ending {
    pub(super) session: Session,
    pub(super) screen: Arc<Screen>,
    pub(super) activity: Arc<Activity>,
    pub(super) interactive: bool,
}

impl Ending {
    /// Listens from now on, on the runtime that this is called in. It has to be before a line is edited: the editor
    /// puts back the handlers that it finds.
    ///
    /// # Errors
    /// When the system takes no handler.
    pub(super) fn listen(self) -> Result<Interrupts> {
        let interrupts = Interrupts::default();
        let mut ends = Ends::listen(self.interactive)?;
        if self.interactive {
            let notify = Arc::clone(&interrupts.0);
            let mut keys = Keys::listen()?;
            tokio::spawn(async move {
                loop {
                    keys.next().await;
                    notify.notify_one();
                }
            });
        }
        let terminal = Terminal::now();
        tokio::spawn(async move {
            ends.next().await;
            // No query may wait for the line that is edited.
            self.screen.direct();
            // A query that had failed has been told of.
            let _ = self.session.stop_all().await;
            terminal.restore();
            std::process::exit(i32::from(self.activity.has_failed()));
        });
        Ok(interrupts)
    }
}

/// Ctrl-C.
struct Keys {
    #[cfg(unix)]
    interrupt: Signal,
}

#[cfg(unix)]
impl Keys {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: handler(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        if self.interrupt.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// What ends the process: SIGTERM, a terminal that is closed, and Ctrl-C where nobody types.
struct Ends {
    #[cfg(unix)]
    signals: [Signal; 2],
    #[cfg(unix)]
    keys: Option<Keys>,
    #[cfg(not(unix))]
    interactive: bool,
}

#[cfg(unix)]
impl Ends {
    fn listen(interactive: bool) -> Result<Self> {
        let signals = [handler(SignalKind::terminate())?, handler(SignalKind::hangup())?];
        Ok(Self { signals, keys: if interactive { None } else { Some(Keys::listen()?) } })
    }

    async fn next(&mut self) {
        let [terminate, hangup] = &mut self.signals;
        let keys = async {
            match &mut self.keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            () = keys => {}
        }
    }
}

#[cfg(unix)]
fn handler(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::from(e).context("listen to signals"))
}

#[cfg(not(unix))]
impl Keys {
    fn listen() -> Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
impl Ends {
    fn listen(interactive: bool) -> Result<Self> {
        Ok(Self { interactive })
    }

    async fn next(&mut self) {
        if self.interactive || tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How the terminal was before a line was edited.
struct Terminal {
    #[cfg(unix)]
    mode: Option<rustix::termios::Termios>,
}

impl Terminal {
    fn now() -> Self {
        Self {
            #[cfg(unix)]
            mode: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    /// An editor that is left in the middle of a line cannot do it any more.
    fn restore(&self) {
        #[cfg(unix)]
        if let Some(mode) = &self.mode {
            use std::io::{IsTerminal, Write};
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, mode);
            let mut out = std::io::stdout();
            if out.is_terminal() {
                // Bracketed paste off, as the editor does at the end of a line.
                let _ = out.write_all(b"\x1b[?2004l\n").and_then(|()| out.flush());
            }
        }
    }
}

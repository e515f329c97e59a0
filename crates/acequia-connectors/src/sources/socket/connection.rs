//! The connection to the peer: made at the start, kept up by a task, made again when the peer goes away.

use super::buffer::{Buffer, Partial};
use acequia_core::{Clock, Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a peer may take to be there at the start.
const FIRST_CONNECT: Duration = Duration::from_secs(2);

/// The wait before connecting again doubles from the first to the last.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// The first connection.
///
/// # Errors
/// `Unavailable` naming the peer.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let deadline = Instant::now() + FIRST_CONNECT;
    loop {
        let failed = match timeout_at(deadline, TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => e.to_string(),
            Err(_) => "no answer".to_string(),
        };
        if Instant::now() + FIRST_BACKOFF >= deadline {
            return Err(Error::unavailable(format!(
                "peer is not there: peer=`{host}:{port}`: {failed}; is it listening?"
            )));
        }
        sleep(FIRST_BACKOFF).await;
    }
}

/// Reads into the buffer for ever.
pub(crate) async fn run(
    mut stream: TcpStream,
    host: String,
    port: u16,
    buffer: Arc<Buffer>,
    clock: Arc<dyn Clock>,
) {
    let mut partial = Partial::default();
    loop {
        read_until_closed(&mut stream, &buffer, &mut partial, clock.as_ref()).await;
        buffer.finish(&mut partial, clock.now().0).await;
        tracing::warn!(peer = buffer.peer(), "the peer of a socket stream has gone; connecting again");
        stream = reconnect(&host, port).await;
        tracing::info!(peer = buffer.peer(), "connected again");
    }
}

async fn read_until_closed(
    stream: &mut TcpStream,
    buffer: &Buffer,
    partial: &mut Partial,
    clock: &dyn Clock,
) {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => buffer.put(&bytes[..count], partial, clock.now().0).await,
        }
    }
}

async fn reconnect(host: &str, port: u16) -> TcpStream {
    let mut backoff = FIRST_BACKOFF;
    loop {
        sleep(backoff).await;
        if let Ok(stream) = TcpStream::connect((host, port)).await {
            return stream;
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

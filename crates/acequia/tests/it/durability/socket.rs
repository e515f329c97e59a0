//! A peer that tells each line once: what a batch has taken is never lost and never twice, whichever operation fails.
//! What was told and not journaled yet when the process died is gone, as the source says.

use super::faults::{At, Fault, Operations};
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Lines that the peer has, and how many it tells at once.
const LINES: u64 = 20;
const GROUP: u64 = 5;

struct Peer {
    listener: TcpListener,
    next: AtomicU64,
}

impl Peer {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, next: AtomicU64::new(0) }
    }

    fn streams(&self) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!(
            "CREATE STREAM s (value VARCHAR) WITH (connector = 'socket', host = '127.0.0.1', port = '{port}', max_rows_per_batch = '4')"
        )
    }

    /// Tells the next lines; gives the one after them.
    async fn tell(&self, to: &mut TcpStream) -> u64 {
        let from = self.next.fetch_add(GROUP, Ordering::SeqCst);
        let text: String = (from..from + GROUP).map(|n| format!("{n:03}\n")).collect();
        // A peer that has gone away has lost them.
        let _ = to.write_all(text.as_bytes()).await;
        from + GROUP
    }
}

fn published(trial: &Trial) -> Rows {
    trial.output.published().into_values().flatten().collect()
}

/// Runs until the peer has told everything, or the query dies.
async fn run(world: &World, peer: &Peer, sql: &str, trial: &Trial, operations: &Operations) -> Result<()> {
    let query = world.start(sql, trial, operations).await?;
    let mut connected = tokio::select! {
        connected = peer.listener.accept() => connected.unwrap().0,
        died = query.await_termination() => return died,
    };
    while peer.next.load(Ordering::SeqCst) < LINES && query.is_active() {
        let last = format!("{:03}", peer.tell(&mut connected).await - 1);
        until("the lines come out", || !query.is_active() || published(trial).contains(&last)).await;
    }
    query.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_batch_are_neither_lost_nor_twice_whichever_operation_fails() {
    let sql = "SELECT value FROM s EMIT APPEND";
    let peer = Peer::new().await;
    let (trial, operations) = (Trial::default(), Operations::default());
    run(&World::with(&peer.streams()).await, &peer, sql, &trial, &operations).await.unwrap();
    let all: Rows = (0..LINES).map(|n| format!("{n:03}")).collect();
    assert_eq!(published(&trial), all);
    let (points, mut lost_some) = (operations.count(), 0);
    for at in 1..=points {
        for fault in [Fault::Before, Fault::After] {
            let (peer, trial) = (Peer::new().await, Trial::default());
            let world = World::with(&peer.streams()).await;
            let died = run(&world, &peer, sql, &trial, &Operations::failing(At::Operation(at), fault)).await;
            let case = format!("operation {at} of {points}, {fault:?}: {died:?}");
            let (told, before) = (peer.next.load(Ordering::SeqCst), published(&trial));
            run(&world, &peer, sql, &trial, &Operations::default())
                .await
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            let after = published(&trial);
            assert!(after.starts_with(&before), "{case}: {before:?} {after:?}");
            assert!(after.is_sorted_by(|a, b| a < b), "{case}: twice or out of order: {after:?}");
            let lost: Rows = all.iter().filter(|line| !after.contains(line)).cloned().collect();
            let in_flight = told.saturating_sub(GROUP)..told;
            let was_in_flight = |line: &String| in_flight.contains(&line.parse().unwrap());
            assert!(lost.iter().all(was_in_flight), "{case}: lost {lost:?}, in flight {in_flight:?}");
            lost_some += usize::from(!lost.is_empty());
        }
    }
    println!("{points} points, {} runs over a socket, {lost_some} of which lost lines in flight", 4 * points);
    assert!(points > 30, "{points}");
}

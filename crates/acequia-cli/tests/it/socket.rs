//! A socket source and SIGKILL.
//!
//! A peer cannot be asked again, so a line is safe once it is in the journal, and what was in flight when the process
//! died is lost. Lines are journaled in the order in which they come: of the lines that the peer sent to one process,
//! the output holds a beginning, without gaps, each line once.

use crate::process::{Acequia, lines, until};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sends numbered lines to whoever connects, never one twice.
struct Peer {
    port: u16,
    /// The first number sent to each connection.
    firsts: Arc<Mutex<Vec<u64>>>,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Peer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = Self { port, firsts: Arc::default(), next: Arc::default(), stop: Arc::default() };
        let (firsts, next, stop) = (Arc::clone(&peer.firsts), Arc::clone(&peer.next), Arc::clone(&peer.stop));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                firsts.lock().unwrap().push(next.load(Ordering::SeqCst));
                loop {
                    let from = next.fetch_add(7, Ordering::SeqCst);
                    let text: String = (from..from + 7).map(|n| format!("{n}\n")).collect();
                    // Lines cut in two on the way, as networks do.
                    let (head, tail) = text.split_at(text.len() / 2);
                    let sent = connection.write_all(head.as_bytes()).and_then(|()| {
                        connection.flush()?;
                        connection.write_all(tail.as_bytes())
                    });
                    if sent.is_err() || stop.load(Ordering::SeqCst) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        peer
    }
}

fn numbers(directory: &std::path::Path) -> Vec<u64> {
    let mut found: Vec<u64> =
        lines(&directory.join("out")).iter().map(|line| line.parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// The output holds a beginning of what each connection got.
fn check(found: &[u64], firsts: &[u64], end: u64) {
    let mut rest = found;
    for (index, first) in firsts.iter().enumerate() {
        let after = firsts.get(index + 1).copied().unwrap_or(end);
        let own = rest.partition_point(|n| *n < after);
        let expected: Vec<u64> = (*first..first + own as u64).collect();
        assert_eq!(rest[..own], expected[..], "connection {index} of {firsts:?}");
        rest = &rest[own..];
    }
    assert!(rest.is_empty(), "{rest:?} were never sent");
}

#[test]
fn lines_that_were_taken_are_there_once_and_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let peer = Peer::start();
    let statements = format!(
        "CREATE STREAM s WITH (connector = 'socket', host = '127.0.0.1', port = '{}', max_rows_per_batch = '40');
         CREATE SINK o WITH (connector = 'file', format = 'csv', header = 'false', path = 'out', compact = 'true');
         INSERT INTO o SELECT value FROM s EMIT APPEND WITH (name = 'q', checkpoint = 'checkpoint');",
        peer.port
    );
    let mut random = SmallRng::seed_from_u64(3);
    for _ in 0..8 {
        let run = Acequia::run(directory.path(), &statements);
        let goal = numbers(directory.path()).len() + random.random_range(1..200);
        until("lines have come", || numbers(directory.path()).len() >= goal);
        assert!(run.kill());
        let firsts = peer.firsts.lock().unwrap().clone();
        check(&numbers(directory.path()), &firsts, peer.next.load(Ordering::SeqCst));
    }
    let journal = || walk(&directory.path().join("checkpoint/sources"));
    let left = journal().len();
    let run = Acequia::run(directory.path(), &statements);
    let before = numbers(directory.path()).len();
    until("lines have come", || numbers(directory.path()).len() > before + 50);
    run.signal("TERM");
    run.finish();
    let firsts = peer.firsts.lock().unwrap().clone();
    check(&numbers(directory.path()), &firsts, peer.next.load(Ordering::SeqCst));
    assert!(
        journal().len() <= 1,
        "what is committed leaves the journal: {left} objects before, {:?}",
        journal()
    );
    peer.stop.store(true, Ordering::SeqCst);
}

/// Every file below a directory.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return vec![] };
    let within = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flatten().flat_map(|entry| within(entry.path())).collect()
}

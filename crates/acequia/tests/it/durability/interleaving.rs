//! Two runs of one query over one checkpoint and one sink, in any order of their steps.
//!
//! A step is one operation on checkpoint or sink, and each waits for its turn. The orders of steps make a graph: its
//! nodes are what the world and both runs look like, and [`explore`] follows its edges. A run cannot be copied
//! in the middle, so each path is run from the start; a run has seen nothing but what its steps gave it, so two paths
//! on which the same was seen lead to the same node, and one of them is enough. Nor does it matter when a run takes a
//! step that the other can neither see nor change, as is reading what is written once and there: it is taken at once.

use super::faults::Operations;
use super::turns::{Driver, Run};
use super::*;
use acequia::ErrorKind;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Two batches, so that one is decided before, and one after, whatever happens in between.
const SHORT: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time)
WITH (connector = 'nexmark', table = 'bid', events = '60', events_per_second = '1', max_rows_per_batch = '30', seed = '1');";

/// Six batches.
const LONG: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time)
WITH (connector = 'nexmark', table = 'bid', events = '120', events_per_second = '1', max_rows_per_batch = '20', seed = '1');";

const QUERIES: &[(&str, &str)] = &[
    ("stateless", "SELECT auction, price, now() AS at FROM b EMIT APPEND"),
    (
        "windowed append",
        "SELECT window(date_time, '10 seconds') AS w, count(*) AS n, sum(price) AS total FROM b GROUP BY window(date_time, '10 seconds') EMIT APPEND",
    ),
    (
        "changes",
        "SELECT bidder % 3 AS k, count(*) AS n, max(price) AS top FROM b GROUP BY bidder % 3 EMIT CHANGES",
    ),
];

/// Paths followed at the same time.
const AT_ONCE: usize = 4;

/// Which run takes the next step.
type Schedule = Vec<Run>;

/// What each run waits for; nothing when it has ended.
type Waits = [Option<String>; 2];

/// Two runs over one trial.
struct Pair<'a> {
    trial: &'a Trial,
    /// What each run has seen.
    seen: [DefaultHasher; 2],
    /// Who has claimed each epoch.
    claimed: Vec<Run>,
    /// Who has decided each batch.
    decided: Vec<Run>,
    taken: Schedule,
}

impl Pair<'_> {
    /// What an operation is about to find.
    async fn finds(&self, operation: &str) -> u64 {
        let mut found = DefaultHasher::new();
        operation.hash(&mut found);
        match operation.split_once(' ') {
            Some(("publish", _)) => self.trial.output.published().hash(&mut found),
            Some(("list", prefix)) => self.names(prefix).await.hash(&mut found),
            Some((_, name)) => self.content(name).await.hash(&mut found),
            None if operation == "last_published" => self.trial.output.published().hash(&mut found),
            None => self.content(operation).await.hash(&mut found),
        }
        found.finish()
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        let prefix = Path::from(prefix);
        let listed = self.trial.store.list(Some(&prefix)).map_ok(|object| object.location.to_string());
        listed.try_collect().await.unwrap()
    }

    /// An object; of the one with the query's random id only that it is there.
    async fn content(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.trial.store.get(&Path::from(name)).await.ok()?;
        Some(if name == "metadata.json" { vec![] } else { found.bytes().await.unwrap().to_vec() })
    }

    /// Whether a step gives the same at any time, and is not seen by the other run. Checkpoints of a few batches forget
    /// nothing but segments of state.
    async fn is_timeless(&self, operation: &str) -> bool {
        let (reads, name) = match operation.split_once(' ') {
            None if operation != "last_published" => (false, operation),
            Some(("get", name)) if !name.starts_with("state/") => (true, name),
            _ => return false,
        };
        let both_claimed = self.claimed.len() == 2 && reads && name.starts_with("epochs/");
        both_claimed || self.content(name).await.is_some()
    }

    /// All that can matter from here on.
    async fn node(&self, waits: &Waits) -> u64 {
        let mut node = DefaultHasher::new();
        waits.hash(&mut node);
        self.seen.iter().for_each(|seen| seen.finish().hash(&mut node));
        self.trial.output.published().hash(&mut node);
        for name in self.names("").await {
            (&name, self.content(&name).await).hash(&mut node);
        }
        node.finish()
    }

    /// Notes a step that is about to be taken.
    async fn step(&mut self, run: Run, operation: &str) {
        self.finds(operation).await.hash(&mut self.seen[run as usize]);
        self.taken.push(run);
        let deciders = match operation.split_once('/') {
            Some(("epochs", _)) => Some(&mut self.claimed),
            Some(("commits", _)) => Some(&mut self.decided),
            _ => None,
        };
        if let Some(deciders) = deciders
            && self.trial.store.head(&Path::from(operation)).await.is_err()
        {
            deciders.push(run);
        }
        if let Some(batch) = operation.strip_prefix("publish ") {
            let decided = self.content(&format!("commits/{batch}")).await;
            assert!(decided.is_some(), "batch {batch} is published before it is decided: {:?}", self.taken);
        }
    }

    /// What must be so when both have ended: each batch was decided once, by the older run up to some batch and by the
    /// newer one from there on, and is published as an undisturbed run does. The newer one ends well. The older one is
    /// fenced if it was overtaken.
    fn check(&self, case: &str, expected: &BTreeMap<u64, Rows>, ended: [Result<()>; 2]) {
        let case = format!("{case}: {:?}", self.taken);
        assert_eq!(self.trial.output.published(), *expected, "{case}");
        assert_eq!(self.decided.len(), expected.len(), "{case}");
        let [older, newer] = self.claimed[..] else { panic!("{case}: {:?}", self.claimed) };
        let by_newer = self.decided.iter().filter(|run| **run == newer).count();
        assert!(
            self.decided.iter().rev().take(by_newer).all(|run| *run == newer),
            "{case}: {:?}",
            self.decided
        );
        assert!(ended[newer as usize].is_ok(), "{case}: {ended:?}");
        match &ended[older as usize] {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Fenced, "{case}: {error}"),
            Ok(()) => assert_eq!(by_newer, 0, "{case}: the older run did not see that it was overtaken"),
        }
    }
}

/// A query, and what an undisturbed run of it publishes.
struct Case<'a> {
    world: &'a World,
    name: &'a str,
    sql: &'a str,
    expected: BTreeMap<u64, Rows>,
}

impl<'a> Case<'a> {
    async fn new(world: &'a World, (name, sql): (&'a str, &'a str)) -> Self {
        let (expected, _) = world.undisturbed(sql).await;
        assert!(expected.values().any(|rows| !rows.is_empty()), "{name}: {expected:?}");
        Self { world, name, sql, expected }
    }

    /// Runs the query twice at the same time, `next` saying who takes each step, until it does not.
    async fn interleave(&self, mut next: impl AsyncFnMut(&Pair<'_>, &Waits) -> Option<Run>) {
        let (trial, driver) = (Trial::default(), Driver::new());
        let run = async |run| {
            let turns = driver.turns(run);
            let ran = self.world.run(self.sql, &trial, &Operations::in_turns(turns.clone())).await;
            turns.ended();
            ran
        };
        let seen = [DefaultHasher::new(), DefaultHasher::new()];
        let mut pair = Pair { trial: &trial, seen, claimed: vec![], decided: vec![], taken: vec![] };
        let drive = async {
            loop {
                let waits = driver.settled().await;
                if waits == [None, None] {
                    return true;
                }
                let Some(run) = next(&pair, &waits).await else {
                    driver.abandon();
                    return false;
                };
                pair.step(run, waits[run as usize].as_ref().unwrap()).await;
                driver.go(run);
            }
        };
        let (a, b, ended) = futures::join!(run(Run::A), run(Run::B), drive);
        if ended {
            pair.check(self.name, &self.expected, [a, b]);
        }
    }

    /// Follows a path, then goes on where no path has been; gives the turnings that it did not take.
    async fn follow(&self, mut path: Turning, visited: &Mutex<HashMap<(u64, Run), usize>>) -> Vec<Turning> {
        let mut turnings = vec![];
        self.interleave(async |pair, waits| {
            if let Some(run) = path.taken.get(pair.taken.len()) {
                return Some(*run);
            }
            for run in [Run::A, Run::B] {
                if let Some(operation) = &waits[run as usize]
                    && pair.is_timeless(operation).await
                {
                    return Some(run);
                }
            }
            let node = (pair.node(waits).await, path.last);
            let known = visited.lock().get(&node).copied();
            if known.is_some_and(|left| left >= path.switches_left) {
                return None;
            }
            visited.lock().insert(node, path.switches_left);
            let other = path.last.other();
            if waits[path.last as usize].is_none() {
                path.last = other;
            } else if waits[other as usize].is_some() && path.switches_left > 0 {
                let taken = [pair.taken.as_slice(), &[other]].concat();
                turnings.push(Turning { taken, last: other, switches_left: path.switches_left - 1 });
            }
            Some(path.last)
        })
        .await;
        turnings
    }
}

/// Where a path leaves another one.
struct Turning {
    taken: Schedule,
    last: Run,
    /// How often the path may still leave a run that could go on.
    switches_left: usize,
}

/// Follows every path that leaves a run which could go on at most so often; gives the number of states and of paths.
async fn explore(case: &Case<'_>, switches: usize) -> (usize, usize) {
    let (visited, mut paths) = (Mutex::default(), 0);
    let mut todo = vec![Turning { taken: vec![], last: Run::A, switches_left: switches }];
    while !todo.is_empty() {
        let now = todo.split_off(todo.len().saturating_sub(AT_ONCE));
        paths += now.len();
        let found = join_all(now.into_iter().map(|path| case.follow(path, &visited))).await;
        todo.extend(found.into_iter().flatten());
    }
    let states: HashSet<u64> = visited.into_inner().into_keys().map(|(node, _)| node).collect();
    (states.len(), paths)
}

async fn explore_all(switches: usize) -> String {
    let mut explored = vec![];
    let world = World::with(SHORT).await;
    for query in QUERIES {
        let case = Case::new(&world, *query).await;
        assert!((2..=3).contains(&case.expected.len()), "{}: {:?}", case.name, case.expected);
        let (states, paths) = explore(&case, switches).await;
        explored.push(format!("{}: {states} states of two runs, {paths} paths through them", case.name));
        assert!(states > 500, "{states}");
    }
    explored.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_decide_and_publish_each_batch_once_in_every_order_with_two_switches() {
    println!("{}", explore_all(2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_longer_runs_decide_and_publish_each_batch_once_in_random_orders() {
    let world = World::with(LONG).await;
    for query in QUERIES {
        let case = &Case::new(&world, *query).await;
        assert!(case.expected.len() >= 5, "{}", case.name);
        let orders = (0..60).map(|seed| async move {
            let mut random = SmallRng::seed_from_u64(seed);
            let stays = random.random_range(0.5..0.98);
            let mut last = Run::A;
            case.interleave(async |_, waits| {
                let can_switch = waits[last.other() as usize].is_some();
                if waits[last as usize].is_none() || can_switch && !random.random_bool(stays) {
                    last = last.other();
                }
                Some(last)
            })
            .await;
        });
        stream::iter(orders).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}

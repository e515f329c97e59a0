//! Threads that shards run on for the length of a large batch.
//!
//! Each lane is given some shards, pushes their rows as they come, and finishes them when all rows of the batch are
//! pushed, in every lane: shards of one operator may share what they learn from rows. Then it gives them back. Its queue
//! is bounded, so that routing is never far ahead. The threads stay for the next large batch: they keep the memory that
//! they have freed, and a new one would begin with none.

use super::router::Part;
use super::unexpected_end;
use crate::exec::{BatchContext, Operator};
use acequia_core::Result;
use arrow::array::RecordBatch;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Builder;

/// Record batches that wait for a lane.
const QUEUE: usize = 32;

/// A shard's number and its operator.
type Numbered = (usize, Box<dyn Operator>);

/// All shards, and what they have emitted, shard by shard.
type Finished = (Vec<Box<dyn Operator>>, Vec<RecordBatch>);

/// What a lane gives back: its shards, and what each of them has emitted.
type Done = (Vec<Numbered>, Result<Vec<(usize, Vec<RecordBatch>)>>);

/// A batch's work for one lane.
struct Work {
    shards: Vec<Numbered>,
    lanes: usize,
    rows: Receiver<Part>,
    context: BatchContext,
    pushed: Sender<Result<()>>,
    all_pushed: Receiver<()>,
    done: Sender<Done>,
}

/// The threads, which end when this is dropped.
pub(super) struct Lanes(Vec<Sender<Work>>);

impl Lanes {
    /// Starts so many threads.
    pub(super) fn start(threads: usize) -> Result<Self> {
        let lane = |_| {
            let (work, inbox) = channel::<Work>();
            let thread = Builder::new().name("acequia-shard".to_string());
            thread.spawn(move || inbox.into_iter().for_each(Work::run))?;
            Ok(work)
        };
        Ok(Self((0..threads).map(lane).collect::<Result<_>>()?))
    }

    /// Deals shards out for a batch.
    pub(super) fn begin(&self, operators: Vec<Box<dyn Operator>>, context: BatchContext) -> Result<Running> {
        let lanes = self.0.len().min(operators.len());
        let mut dealt: Vec<Vec<Numbered>> = (0..lanes).map(|_| Vec::new()).collect();
        for (number, operator) in operators.into_iter().enumerate() {
            dealt[number % lanes].push((number, operator));
        }
        let mut running = Vec::with_capacity(lanes);
        for (lane, shards) in self.0.iter().zip(dealt) {
            let (queue, rows) = sync_channel(QUEUE);
            let ((pushed, is_pushed), (go, all_pushed), (done, is_done)) = (channel(), channel(), channel());
            let work = Work { shards, lanes, rows, context, pushed, all_pushed, done };
            lane.send(work).map_err(|_| unexpected_end())?;
            running.push(RunningLane { queue, is_pushed, go, is_done });
        }
        Ok(Running(running))
    }
}

/// A batch on its lanes; when it is dropped, what it has computed is thrown away.
pub(super) struct Running(Vec<RunningLane>);

struct RunningLane {
    queue: SyncSender<Part>,
    is_pushed: Receiver<Result<()>>,
    go: Sender<()>,
    is_done: Receiver<Done>,
}

impl Running {
    /// Hands rows to their shard; false when its lane has failed, which [`Running::finish`] tells more of.
    pub(super) fn push(&self, part: Part) -> bool {
        self.0[part.0 % self.0.len()].queue.send(part).is_ok()
    }

    /// Waits for the end of the batch.
    pub(super) fn finish(self) -> Result<Finished> {
        // A lane that panics drops its ends.
        let mut lanes = Vec::with_capacity(self.0.len());
        for RunningLane { queue, is_pushed, go, is_done } in self.0 {
            drop(queue);
            lanes.push((is_pushed, go, is_done));
        }
        for (is_pushed, ..) in &lanes {
            is_pushed.recv().map_err(|_| unexpected_end())??;
        }
        for (_, go, _) in &lanes {
            go.send(()).map_err(|_| unexpected_end())?;
        }
        let (mut shards, mut outputs) = (Vec::new(), Vec::new());
        for (_, _, is_done) in lanes {
            let (own, emitted) = is_done.recv().map_err(|_| unexpected_end())?;
            shards.extend(own);
            outputs.extend(emitted?);
        }
        shards.sort_by_key(|(number, _)| *number);
        outputs.sort_by_key(|(number, _)| *number);
        let outputs = outputs.into_iter().flat_map(|(_, batches)| batches);
        Ok((shards.into_iter().map(|(_, operator)| operator).collect(), outputs.collect()))
    }
}

impl Work {
    fn run(self) {
        let Self { mut shards, lanes, rows, context, pushed, all_pushed, done } = self;
        let push = |(shard, batch): Part| shards[shard / lanes].1.push(&context, 0, batch);
        let result = rows.iter().try_for_each(push);
        drop(rows);
        // Where nobody listens, or does not say go, the batch has failed elsewhere.
        if pushed.send(result).is_err() || all_pushed.recv().is_err() {
            return;
        }
        let finish = |(number, operator): &mut Numbered| Ok((*number, operator.finish(&context)?));
        let emitted = shards.iter_mut().map(finish).collect();
        let _ = done.send((shards, emitted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::state::{Stateful, TableDef, TableDelta};
    use acequia_core::{Error, Watermark};
    use arrow::array::Int64Array;
    use arrow::datatypes::SchemaRef;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Emits how many rows it and its siblings were pushed; fails at a batch of 7 rows and panics at one of 9.
    struct Counting {
        own: usize,
        all: Arc<AtomicUsize>,
    }

    fn batch(rows: usize) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; rows])) as _)]).unwrap()
    }

    impl Stateful for Counting {
        fn tables(&self) -> Vec<TableDef> {
            Vec::new()
        }

        fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
            Ok(Vec::new())
        }

        fn restore(&mut self, _table: &str, _rows: RecordBatch) -> Result<()> {
            Ok(())
        }

        fn snapshot(&self, _table: &str) -> Result<Vec<RecordBatch>> {
            Ok(Vec::new())
        }

        fn state_rows(&self) -> usize {
            self.own
        }

        fn state_bytes(&self) -> usize {
            0
        }
    }

    impl Operator for Counting {
        fn output_schema(&self) -> SchemaRef {
            batch(0).schema()
        }

        fn push(&mut self, _context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
            match batch.num_rows() {
                7 => Err(Error::data("seven")),
                9 => panic!("nine"),
                rows => {
                    self.own += rows;
                    self.all.fetch_add(rows, Ordering::Relaxed);
                    Ok(())
                }
            }
        }

        fn finish(&mut self, _context: &BatchContext) -> Result<Vec<RecordBatch>> {
            Ok(vec![batch(self.all.load(Ordering::Relaxed))])
        }

        fn late_rows(&self) -> u64 {
            0
        }

        fn wakes_at(&self, _watermark: Watermark) -> bool {
            false
        }
    }

    fn counting(shards: usize) -> Vec<Box<dyn Operator>> {
        let all = Arc::new(AtomicUsize::new(0));
        (0..shards).map(|_| Box::new(Counting { own: 0, all: Arc::clone(&all) }) as _).collect()
    }

    fn context() -> BatchContext {
        crate::exec::twin::at(0, None)
    }

    #[test]
    fn rows_reach_their_shard_and_shards_come_back_in_order() {
        for threads in 1..9 {
            let lanes = Lanes::start(threads).unwrap();
            let mut shards = counting(5);
            for batches in 1..4 {
                let running = lanes.begin(shards, context()).unwrap();
                for rows in 0..500 {
                    assert!(running.push((rows % 5, batch(10 * (rows % 5)))));
                }
                let emitted;
                (shards, emitted) = running.finish().unwrap();
                let own: Vec<usize> = (0..5).map(|shard| batches * shard * 1000).collect();
                assert_eq!(shards.iter().map(|shard| shard.state_rows()).collect::<Vec<_>>(), own);
                // No shard was finished before all of them had their rows.
                let all = vec![own.iter().sum::<usize>(); 5];
                assert_eq!(emitted.iter().map(RecordBatch::num_rows).collect::<Vec<usize>>(), all);
            }
        }
    }

    #[test]
    fn a_lane_waits_for_the_others_before_it_finishes() {
        let lanes = Lanes::start(2).unwrap();
        let Running(mut running) = lanes.begin(counting(2), context()).unwrap();
        let RunningLane { queue, is_pushed, go, is_done } = running.remove(0);
        queue.send((0, batch(3))).unwrap();
        drop(queue);
        is_pushed.recv().unwrap().unwrap();
        // It is told to give up instead: it has not finished by itself.
        drop(go);
        assert!(is_done.recv().is_err(), "a lane has finished while another one still had rows to come");
    }

    #[test]
    fn a_lane_that_fails_or_panics_ends_the_batch_with_an_error() {
        for (rows, message) in [(7, "seven"), (9, "panicked")] {
            let lanes = Lanes::start(2).unwrap();
            let running = lanes.begin(counting(4), context()).unwrap();
            while running.push((3, batch(rows))) {}
            let error = running.finish().err().unwrap();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

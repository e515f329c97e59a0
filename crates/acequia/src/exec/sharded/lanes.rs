//! Threads that shards run on for the length of a large batch.
//!
//! Each lane is given some shards, pushes their rows as they come, finishes them at the end of the batch and gives them
//! back. Its queue is bounded, so that routing is never far ahead. The threads stay for the next large batch: they keep
//! the memory that they have freed, and a new one would begin with none.

use super::{Routed, unexpected_end};
use crate::exec::{BatchContext, Operator};
use acequia_core::Result;
use arrow::array::RecordBatch;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Builder;

/// Record batches that wait for a lane.
const QUEUE: usize = 32;

/// A shard's number and its operator.
type Numbered = (usize, Box<dyn Operator>);

/// What a lane gives back: its shards, and what each of them has emitted.
type Done = (Vec<Numbered>, Result<Vec<(usize, Vec<RecordBatch>)>>);

/// A batch's work for one lane.
struct Work {
    shards: Vec<Numbered>,
    lanes: usize,
    rows: Receiver<Routed>,
    context: BatchContext,
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
        let mut running = Running { queues: Vec::new(), done: Vec::new() };
        for (lane, shards) in self.0.iter().zip(dealt) {
            let (queue, rows) = sync_channel(QUEUE);
            let (done, outcome) = channel();
            lane.send(Work { shards, lanes, rows, context, done }).map_err(|_| unexpected_end())?;
            running.queues.push(queue);
            running.done.push(outcome);
        }
        Ok(running)
    }
}

/// A batch on its lanes.
pub(super) struct Running {
    queues: Vec<SyncSender<Routed>>,
    done: Vec<Receiver<Done>>,
}

impl Running {
    /// Hands rows to their shard; false when its lane has failed, which [`Running::finish`] tells more of.
    pub(super) fn push(&self, routed: Routed) -> bool {
        self.queues[routed.0 % self.queues.len()].send(routed).is_ok()
    }

    /// Waits for the end of the batch: the shards in their order, and what they have emitted, shard by shard.
    pub(super) fn finish(self) -> Result<(Vec<Box<dyn Operator>>, Vec<RecordBatch>)> {
        drop(self.queues);
        let (mut shards, mut outputs) = (Vec::new(), Vec::new());
        for done in self.done {
            // A lane that panics drops its end.
            let (own, emitted) = done.recv().map_err(|_| unexpected_end())?;
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
        let Self { mut shards, lanes, rows, context, done } = self;
        let mut work = || {
            for (shard, batch) in &rows {
                shards[shard / lanes].1.push(&context, 0, batch)?;
            }
            shards.iter_mut().map(|(number, operator)| Ok((*number, operator.finish(&context)?))).collect()
        };
        let emitted = work();
        drop(rows);
        // Nobody waits any more when the batch has failed elsewhere.
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

    /// Emits how many rows it was pushed; fails at a batch of 7 rows and panics at one of 9.
    struct Counting(i64);

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
            self.0 as usize
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
                    self.0 += rows as i64;
                    Ok(())
                }
            }
        }

        fn finish(&mut self, _context: &BatchContext) -> Result<Vec<RecordBatch>> {
            Ok(vec![batch(self.0 as usize)])
        }

        fn late_rows(&self) -> u64 {
            0
        }

        fn wakes_at(&self, _watermark: Watermark) -> bool {
            false
        }
    }

    fn counting(shards: usize) -> Vec<Box<dyn Operator>> {
        (0..shards).map(|shard| Box::new(Counting(shard as i64)) as _).collect()
    }

    fn context() -> BatchContext {
        crate::exec::twin::at(0, None)
    }

    #[test]
    fn rows_reach_their_shard_and_shards_come_back_in_order() {
        for threads in 1..9 {
            let lanes = Lanes::start(threads).unwrap();
            let mut shards = counting(5);
            for batch_number in 1..4 {
                let running = lanes.begin(shards, context()).unwrap();
                for rows in 0..500 {
                    assert!(running.push((rows % 5, batch(10 * (rows % 5)))));
                }
                let emitted;
                (shards, emitted) = running.finish().unwrap();
                let expected: Vec<usize> = (0..5).map(|shard| shard + batch_number * shard * 1000).collect();
                assert_eq!(shards.iter().map(|shard| shard.state_rows()).collect::<Vec<_>>(), expected);
                assert_eq!(emitted.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), expected);
            }
        }
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

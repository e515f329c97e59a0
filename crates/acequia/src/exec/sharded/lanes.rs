//! Threads that shards run on for the length of a large batch.
//!
//! Each lane takes some shards with it, pushes their rows as they come, finishes them at the end of the batch and gives
//! them back. Its queue is bounded, so that routing is never far ahead.

use super::{Routed, unexpected_end};
use crate::exec::{BatchContext, Operator};
use acequia_core::Result;
use arrow::array::RecordBatch;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Record batches that wait for a lane.
const QUEUE: usize = 32;

/// A shard's number and its operator.
type Numbered = (usize, Box<dyn Operator>);

/// What a lane gives back: its shards, and what each of them has emitted.
type Done = (Vec<Numbered>, Result<Vec<(usize, Vec<RecordBatch>)>>);

/// See the [module](self).
pub(super) struct Lanes(Vec<Lane>);

struct Lane {
    queue: SyncSender<Routed>,
    thread: JoinHandle<Done>,
}

impl Lanes {
    /// Deals the shards out to at most so many threads.
    pub(super) fn start(
        operators: Vec<Box<dyn Operator>>,
        threads: usize,
        context: BatchContext,
    ) -> Result<Self> {
        let count = threads.min(operators.len()).max(1);
        let mut dealt: Vec<Vec<Numbered>> = (0..count).map(|_| Vec::new()).collect();
        for (number, operator) in operators.into_iter().enumerate() {
            dealt[number % count].push((number, operator));
        }
        let lane = |shards: Vec<Numbered>| {
            let (queue, rows) = sync_channel(QUEUE);
            let thread = Builder::new().name("acequia-shard".to_string());
            let thread = thread.spawn(move || run(shards, count, &rows, &context))?;
            Ok(Lane { queue, thread })
        };
        Ok(Self(dealt.into_iter().map(lane).collect::<Result<_>>()?))
    }

    /// Hands rows to their shard; false when its lane has failed, which [`Lanes::finish`] tells more of.
    pub(super) fn push(&self, routed: Routed) -> bool {
        self.0[routed.0 % self.0.len()].queue.send(routed).is_ok()
    }

    /// Waits for the end of the batch: the shards in their order, and what they have emitted, shard by shard.
    pub(super) fn finish(self) -> Result<(Vec<Box<dyn Operator>>, Vec<RecordBatch>)> {
        let (mut shards, mut outputs) = (Vec::new(), Vec::new());
        let (queues, threads): (Vec<_>, Vec<_>) =
            self.0.into_iter().map(|Lane { queue, thread }| (queue, thread)).unzip();
        drop(queues);
        let mut failed = Ok(());
        for thread in threads {
            let ran = thread.join().map_err(|_| unexpected_end()).and_then(|(own, emitted)| {
                shards.extend(own);
                outputs.extend(emitted?);
                Ok(())
            });
            failed = failed.and(ran);
        }
        failed?;
        shards.sort_by_key(|(number, _)| *number);
        outputs.sort_by_key(|(number, _)| *number);
        let outputs = outputs.into_iter().flat_map(|(_, batches)| batches);
        Ok((shards.into_iter().map(|(_, operator)| operator).collect(), outputs.collect()))
    }
}

fn run(mut shards: Vec<Numbered>, lanes: usize, rows: &Receiver<Routed>, context: &BatchContext) -> Done {
    let mut work = || {
        for (shard, batch) in rows {
            shards[shard / lanes].1.push(context, 0, batch)?;
        }
        shards.iter_mut().map(|(number, operator)| Ok((*number, operator.finish(context)?))).collect()
    };
    let emitted = work();
    (shards, emitted)
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

    fn lanes(shards: usize, threads: usize) -> Lanes {
        let operators = (0..shards).map(|shard| Box::new(Counting(shard as i64)) as _).collect();
        Lanes::start(operators, threads, crate::exec::twin::at(0, None)).unwrap()
    }

    #[test]
    fn rows_reach_their_shard_and_shards_come_back_in_order() {
        for threads in 1..9 {
            let lanes = lanes(5, threads);
            for rows in 0..500 {
                assert!(lanes.push((rows % 5, batch(10 * (rows % 5)))));
            }
            let (shards, emitted) = lanes.finish().unwrap();
            let expected = [0, 1001, 2002, 3003, 4004];
            assert_eq!(shards.iter().map(|shard| shard.state_rows()).collect::<Vec<_>>(), expected);
            assert_eq!(emitted.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_lane_that_fails_or_panics_ends_the_batch_with_an_error() {
        for (rows, message) in [(7, "seven"), (9, "panicked")] {
            let lanes = lanes(4, 2);
            while lanes.push((3, batch(rows))) {}
            let error = lanes.finish().err().unwrap();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

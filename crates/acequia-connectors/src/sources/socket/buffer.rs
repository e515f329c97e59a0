//! What has arrived and is in no batch yet: whole records, bounded in number and bytes.
//!
//! The connection waits for room before it puts more in, and does not read from the peer meanwhile, so that TCP holds
//! the peer back.

use crate::formats::framing::Block;
use crate::formats::{Cut, OnError};
use acequia_core::{Error, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// The buffer is full at so many bytes.
const BUFFER_BYTES: usize = 16 << 20;

/// No record is longer.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// Records between the connection and the source.
#[derive(Debug)]
pub(crate) struct Buffer {
    records: Mutex<Records>,
    room: Notify,
    /// The buffer is full at so many records.
    max_records: usize,
    keep_blank: bool,
    on_error: OnError,
    peer: String,
}

#[derive(Debug, Default)]
struct Records {
    bytes: Vec<u8>,
    /// The end of each record in `bytes`, and when it arrived, in microseconds.
    ends: VecDeque<(usize, i64)>,
    /// Records taken out so far.
    taken: u64,
    /// Records that were too long and left out since the last batch.
    skipped: usize,
    /// Why nothing more can be taken, after what is there.
    failure: Option<Error>,
}

/// The beginning of the buffer, copied out.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) block: Block,
    /// When each record arrived, in microseconds.
    pub(crate) times: Vec<i64>,
    pub(crate) skipped: usize,
}

/// The record that has begun and has no end yet; of the connection alone.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    bytes: Vec<u8>,
    /// It was too long: what comes up to the next newline belongs to it.
    discarding: bool,
}

impl Buffer {
    pub(crate) fn new(max_records: usize, keep_blank: bool, on_error: OnError, peer: String) -> Self {
        Self { records: Mutex::default(), room: Notify::new(), max_records, keep_blank, on_error, peer }
    }

    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    fn is_full(&self) -> bool {
        let records = self.records.lock();
        records.ends.len() >= self.max_records || records.bytes.len() >= BUFFER_BYTES
    }

    /// Waits until there is room, then puts in what arrived; the part after the last newline goes into `partial`.
    pub(crate) async fn put(&self, arrived: &[u8], partial: &mut Partial, now: i64) {
        while self.is_full() {
            self.room.notified().await;
        }
        let mut records = self.records.lock();
        let mut rest = arrived;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            if std::mem::take(&mut partial.discarding) {
                continue;
            }
            if partial.bytes.is_empty() {
                self.push(&mut records, line, now);
            } else {
                partial.bytes.extend_from_slice(line);
                self.push(&mut records, &partial.bytes, now);
                partial.bytes.clear();
            }
        }
        if !partial.discarding {
            partial.bytes.extend_from_slice(rest);
        }
        if partial.bytes.len() > MAX_RECORD_BYTES {
            *partial = Partial { bytes: vec![], discarding: true };
            self.too_long(&mut records);
        }
    }

    /// The peer has closed: what is there of the last record is the record.
    pub(crate) async fn finish(&self, partial: &mut Partial, now: i64) {
        let unfinished = !partial.bytes.is_empty();
        if unfinished {
            self.put(b"\n", partial, now).await;
        }
        *partial = Partial::default();
    }

    fn push(&self, records: &mut Records, line: &[u8], now: i64) {
        if self.keep_blank || !line.trim_ascii().is_empty() {
            records.bytes.extend_from_slice(line);
            let end = records.bytes.len();
            records.ends.push_back((end, now));
        }
    }

    fn too_long(&self, records: &mut Records) {
        match self.on_error {
            OnError::Skip => records.skipped += 1,
            OnError::Fail => {
                let number = records.taken + records.ends.len() as u64 + 1;
                records.failure.get_or_insert_with(|| {
                    Error::data(format!(
                        "record is longer than {MAX_RECORD_BYTES} bytes: peer=`{}` line={number}",
                        self.peer
                    ))
                });
            }
        }
    }

    /// The first records, at most `limit`; they stay until [`Buffer::remove`]. `None` when there are none.
    ///
    /// # Errors
    /// What ended the stream, once everything before it was taken.
    pub(crate) fn peek(&self, limit: usize) -> Result<Option<Taken>> {
        let records = self.records.lock();
        let count = records.ends.len().min(limit);
        if count == 0 {
            return match &records.failure {
                Some(e) => Err(Error::new(e.kind(), e.message())),
                None => Ok(None),
            };
        }
        let (last, _) = records.ends[count - 1];
        let starts = std::iter::once(0).chain(records.ends.iter().map(|(end, _)| *end));
        let ranges = starts.zip(&records.ends).take(count).map(|(start, (end, _))| start..*end).collect();
        let block = Block {
            bytes: records.bytes[..last].to_vec(),
            records: ranges,
            start: Cut { line: records.taken, ..Cut::default() },
        };
        let times = records.ends.iter().take(count).map(|(_, time)| *time).collect();
        Ok(Some(Taken { block, times, skipped: records.skipped }))
    }

    /// Takes out what was copied out.
    pub(crate) fn remove(&self, taken: &Taken) {
        let mut records = self.records.lock();
        let count = taken.times.len();
        records.skipped -= taken.skipped;
        let bytes = count.checked_sub(1).map_or(0, |last| records.ends[last].0);
        records.bytes.drain(..bytes);
        records.ends.drain(..count);
        records.ends.iter_mut().for_each(|(end, _)| *end -= bytes);
        records.taken += count as u64;
        drop(records);
        self.room.notify_one();
    }

    /// Records in the buffer.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.lock().ends.len()
    }
}

//! The records of a checkpoint, and the form in which they are kept.
//!
//! ```text
//! acequia commit 1 8c7e21b0\n        kind, format version, crc32c of "commit 1\n" + the next line
//! {"batch":7,"epoch":2,...}\n        one line of JSON
//! ```
//! Whatever is not exactly that is `Data` with the name of the file. A record of a later version that is whole is
//! `Unsupported`: its checksum is checked before its version is looked at.

use acequia_core::{
    BatchId, Epoch, Error, Offset, OperatorId, QueryId, Result, SinkReceipt, Timestamp, Watermark,
};
use bytes::Bytes;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of records and segments that this build writes and reads.
pub const FORMAT: u32 = 1;

/// What batch N is, for ever: written before it runs, followed by every run of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffsetRecord {
    /// The batch.
    pub batch: BatchId,
    /// The run that decided it.
    pub epoch: Epoch,
    /// The batch's time: what `now()` gives.
    pub batch_time: Timestamp,
    /// The watermarks in force in it.
    pub watermark: WatermarkState,
    /// What it reads, per source.
    pub sources: Vec<SourceOffsets>,
}

/// What a batch reads of a source: nothing when `start == end`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceOffsets {
    /// The source's name within the query.
    pub name: String,
    /// Where the previous batch ended; `None` before the first row.
    pub start: Option<Offset>,
    /// Where this batch ends; `None` while the source has given nothing at all.
    pub end: Option<Offset>,
}

/// The watermarks of a query between two batches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WatermarkState {
    /// The one in force.
    pub global: Watermark,
    /// The highest event time seen, per named watermark.
    pub max_event_times: BTreeMap<String, Timestamp>,
}

/// The one decision: the batch is done, with this outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// The batch.
    pub batch: BatchId,
    /// The run that decided it.
    pub epoch: Epoch,
    /// The watermarks of the next batch.
    pub next_watermark: WatermarkState,
    /// The state after it.
    pub state: StateManifest,
    /// How to publish its output.
    pub receipts: Vec<SinkReceipt>,
    /// The stateful operators that the state belongs to.
    pub operators: Vec<OperatorRecord>,
    /// Rows read.
    pub rows_in: u64,
}

/// A stateful operator as it was when the batch ran; a later run compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRecord {
    /// The operator.
    pub id: OperatorId,
    /// What it is called in messages.
    pub name: String,
    /// Changes when its state would no longer fit it.
    pub fingerprint: String,
}

/// A version of the state: the segments that merge into it, oldest first. All that a restore needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateManifest {
    /// The last batch in it; `None` for no state yet.
    pub version: Option<BatchId>,
    /// Neighbouring ranges of batches without overlap, oldest first. A batch that changed nothing has none.
    pub segments: Vec<SegmentRef>,
}

/// A segment of a [`StateManifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The object's name within `state/`.
    pub name: String,
    /// The first batch that it may hold changes of.
    pub first: BatchId,
    /// The last one.
    pub last: BatchId,
    /// 0 as sealed; a merge of many segments of a level is one of the next.
    pub level: u32,
    /// The object's size in bytes.
    pub bytes: u64,
    /// Rows in it, those that say that a key is gone included.
    pub rows: u64,
    /// The crc32c of its footer, which holds those of its blocks.
    pub crc: u32,
}

/// `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) id: QueryId,
    pub(crate) format: u32,
}

/// `epochs/E`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochRecord {
    pub(crate) epoch: Epoch,
}

/// A kind of record: the word in its header.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const KIND: &'static str;
}

macro_rules! kinds {
    ($($ty:ty => $kind:literal),* $(,)?) => { $(impl Record for $ty { const KIND: &'static str = $kind; })* };
}

kinds! { OffsetRecord => "offsets", CommitRecord => "commit", Metadata => "metadata", EpochRecord => "epoch" }

/// The bytes of a record.
pub(crate) fn encode<T: Record>(record: &T) -> Result<Bytes> {
    let json = serde_json::to_string(record)
        .map_err(|e| Error::internal(format!("{} record cannot be written as JSON: {e}", T::KIND)))?;
    let header = header(T::KIND, FORMAT, &json);
    Ok(Bytes::from(format!("{header}\n{json}\n")))
}

fn header(kind: &str, version: u32, json: &str) -> String {
    let crc =
        crc32c::crc32c_append(crc32c::crc32c(format!("{kind} {version}\n").as_bytes()), json.as_bytes());
    format!("acequia {kind} {version} {crc:08x}")
}

/// The record in an object's bytes.
pub(crate) fn decode<T: Record>(object: &Path, bytes: &[u8]) -> Result<T> {
    let damaged = |why: &str| Error::data(format!("damaged file in the checkpoint: `{object}`: {why}"));
    let (version, json) = split(bytes).ok_or_else(|| damaged("not a record"))?;
    let (found, body) = bytes.split_at(bytes.len() - json.len() - 2);
    debug_assert_eq!(body[0], b'\n');
    // A fuzzer is to reach what is behind the checksum.
    if found != header(T::KIND, version, json).as_bytes() && !cfg!(fuzzing) {
        return Err(damaged(&format!(
            "checksum or kind does not match, expected a record of kind {}",
            T::KIND
        )));
    }
    if version != FORMAT {
        return Err(Error::unsupported(format!(
            "file in the checkpoint is of another version of Acequia: `{object}`: format={version} known={FORMAT}"
        )));
    }
    serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))
}

/// The version named by the header, and the line of JSON.
fn split(bytes: &[u8]) -> Option<(u32, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (header, rest) = text.split_once('\n')?;
    let json = rest.strip_suffix('\n')?;
    let version = header.split(' ').nth(2)?.parse().ok()?;
    Some((version, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::ErrorKind;

    fn record() -> OffsetRecord {
        OffsetRecord {
            batch: BatchId(7),
            epoch: Epoch(2),
            batch_time: Timestamp(1_700_000_000_000_000),
            watermark: WatermarkState {
                global: Watermark(Some(Timestamp(-5))),
                max_event_times: BTreeMap::from([("bids.\n\"ts\"".to_string(), Timestamp(9))]),
            },
            sources: vec![SourceOffsets {
                name: "bids".into(),
                start: None,
                end: Some(Offset(serde_json::json!({"file": "ä\u{0}b", "n": u64::MAX}))),
            }],
        }
    }

    #[test]
    fn record_comes_back_as_it_was() {
        let bytes = encode(&record()).unwrap();
        assert_eq!(decode::<OffsetRecord>(&Path::from("offsets/7"), &bytes).unwrap(), record());
    }

    #[test]
    fn every_damaged_byte_and_every_truncation_is_data_naming_the_file() {
        let at = Path::from("q/offsets/7");
        let bytes = encode(&record()).unwrap();
        let check = |damaged: &[u8], what: String| {
            let error = decode::<OffsetRecord>(&at, damaged).expect_err(&what);
            assert_eq!(error.kind(), ErrorKind::Data, "{what}: {error}");
            assert!(error.message().contains("q/offsets/7"), "{what}: {error}");
        };
        for i in 0..bytes.len() {
            check(&bytes[..i], format!("truncated to {i}"));
            for bit in 0..8 {
                let mut damaged = bytes.to_vec();
                damaged[i] ^= 1 << bit;
                check(&damaged, format!("bit {bit} of byte {i}"));
            }
        }
        check(&[&bytes[..], b"\n"].concat(), "longer".into());
    }

    #[test]
    fn record_of_a_later_version_is_unsupported() {
        let json = "{\"other\":1}";
        let text = format!("{}\n{json}\n", header("commit", 2, json));
        let error = decode::<CommitRecord>(&Path::from("commits/0"), text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = decode::<OffsetRecord>(&Path::from("offsets/0"), text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "a commit is no offsets");
    }
}

//! The records of a checkpoint, and the form in which they are kept.
//!
//! ```text
//! acequia commit 2 8c7e21b0\n        kind, format version, crc32c of "commit 2\n" + the next line
//! {"batch":7,"epoch":2,...}\n        one line of JSON
//! <segment>                          of a commit that carries what its batch has sealed: see below
//! ```
//! Whatever is not exactly that is `Data` with the name of the file. A record of a later version that is whole is
//! `Unsupported`: its checksum is checked before its version is looked at.
//!
//! **Carried segments.** A small segment is no object of its own: it stands behind the record of the commit that makes
//! it state, so that both are durable in one write. The manifest says how long it is, and it has its own checksums. It
//! stays there for as long as a manifest names it.
//!
//! | format | differs by |
//! |---|---|
//! | 1 | a commit does not say what its batch was: `offsets/N`, whose name was durable, does; it carries no segment |
//! | 2 | as above |

use acequia_core::{
    BatchId, Epoch, Error, Offset, OperatorId, QueryId, Result, SinkReceipt, Timestamp, Watermark,
};
use bytes::Bytes;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The version of records and segments that this build writes.
pub const FORMAT: u32 = 2;
/// The oldest version that it reads.
const OLDEST_FORMAT: u32 = 1;

/// Whether this build reads a version.
pub(crate) fn is_known(format: u32) -> bool {
    (OLDEST_FORMAT..=FORMAT).contains(&format)
}

/// What batch N is: written before it runs, followed by every run of it that finds it, and kept in its commit.
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
    /// What the batch was; `None` only in what format 1 has written.
    #[serde(default)]
    pub offsets: Option<OffsetRecord>,
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
    /// The segment that the commit of batch `version` carries, if it does.
    #[serde(skip)]
    pub(crate) carried: Bytes,
}

impl StateManifest {
    /// Some of the segments, with what is needed to read them.
    pub(crate) fn part(&self, segments: Range<usize>) -> Self {
        let segments = self.segments[segments].to_vec();
        Self { version: self.version, segments, carried: self.carried.clone() }
    }

    /// A segment's bytes, if they are here.
    pub(crate) fn held(&self, segment: &SegmentRef) -> Option<Bytes> {
        let here = segment.carried_by.is_some() && segment.carried_by == self.version;
        (here && segment.bytes == self.carried.len() as u64).then(|| self.carried.clone())
    }
}

/// A segment of a [`StateManifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Its name, and that of its object within `state/` unless a commit carries it.
    pub name: String,
    /// The batch whose commit carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<BatchId>,
    /// The first batch that it may hold changes of.
    pub first: BatchId,
    /// The last one.
    pub last: BatchId,
    /// 0 as sealed; a merge of many segments of a level is one of the next.
    pub level: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// Rows in it, those that say that a key is gone included.
    pub rows: u64,
    /// The crc32c of its footer, which holds those of its blocks.
    pub crc: u32,
}

impl SegmentRef {
    /// The object that it is the end of.
    pub(crate) fn object(&self, checkpoint: &Path) -> Path {
        match self.carried_by {
            Some(batch) => checkpoint.clone().join("commits").join(batch.0.to_string()),
            None => checkpoint.clone().join("state").join(self.name.as_str()),
        }
    }
}

impl CommitRecord {
    /// The size of the segment that it carries.
    fn carries(&self) -> u64 {
        let own = |segment: &&SegmentRef| segment.carried_by == Some(self.batch);
        self.state.segments.iter().filter(own).map(|segment| segment.bytes).fold(0, u64::saturating_add)
    }

    /// Checks that it says all that a recovery needs.
    pub(crate) fn check(&self) -> Result<()> {
        let says = self.offsets.as_ref().is_some_and(|offsets| offsets.batch == self.batch);
        if says && self.carries() == self.state.carried.len() as u64 {
            return Ok(());
        }
        Err(Error::internal(format!("commit lacks its offsets or its state: batch={}", self.batch)))
    }
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

    /// What stands behind its JSON.
    fn behind(&self) -> &[u8] {
        &[]
    }

    /// Takes what was found behind its JSON; false when that is not what it says.
    fn take_behind(&mut self, bytes: Bytes) -> bool {
        bytes.is_empty()
    }
}

macro_rules! kinds {
    ($($ty:ty => $kind:literal),* $(,)?) => { $(impl Record for $ty { const KIND: &'static str = $kind; })* };
}

kinds! { OffsetRecord => "offsets", Metadata => "metadata", EpochRecord => "epoch" }

impl Record for CommitRecord {
    const KIND: &'static str = "commit";

    fn behind(&self) -> &[u8] {
        &self.state.carried
    }

    fn take_behind(&mut self, bytes: Bytes) -> bool {
        let whole = bytes.len() as u64 == self.carries();
        self.state.carried = bytes;
        whole
    }
}

/// The bytes of a record.
pub(crate) fn encode<T: Record>(record: &T) -> Result<Bytes> {
    let json = serde_json::to_string(record)
        .map_err(|e| Error::internal(format!("{} record cannot be written as JSON: {e}", T::KIND)))?;
    let header = header(T::KIND, FORMAT, &json);
    Ok(Bytes::from([header.as_bytes(), b"\n", json.as_bytes(), b"\n", record.behind()].concat()))
}

fn header(kind: &str, version: u32, json: &str) -> String {
    let crc =
        crc32c::crc32c_append(crc32c::crc32c(format!("{kind} {version}\n").as_bytes()), json.as_bytes());
    format!("acequia {kind} {version} {crc:08x}")
}

/// The record in an object's bytes.
pub(crate) fn decode<T: Record>(object: &Path, bytes: &Bytes) -> Result<T> {
    let damaged = |why: &str| Error::data(format!("damaged file in the checkpoint: `{object}`: {why}"));
    let Parts { head, version, json, behind } = split(bytes).ok_or_else(|| damaged("not a record"))?;
    // A fuzzer is to reach what is behind the checksum.
    if head != header(T::KIND, version, json) && !cfg!(fuzzing) {
        return Err(damaged(&format!(
            "checksum or kind does not match, expected a record of kind {}",
            T::KIND
        )));
    }
    if !is_known(version) {
        return Err(Error::unsupported(format!(
            "file in the checkpoint is of another version of Acequia: `{object}`: format={version} known={FORMAT}"
        )));
    }
    let mut record: T = serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))?;
    match record.take_behind(bytes.slice_ref(behind)) {
        true => Ok(record),
        false => Err(damaged(&format!("what stands behind the record has another size: {}", behind.len()))),
    }
}

/// An object's bytes by what they are.
struct Parts<'a> {
    head: &'a str,
    version: u32,
    json: &'a str,
    behind: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<Parts<'_>> {
    let line = |bytes: &'_ [u8]| bytes.iter().position(|byte| *byte == b'\n');
    let (head, rest) = bytes.split_at(line(bytes)?);
    let (json, behind) = rest[1..].split_at(line(&rest[1..])?);
    let (head, json) = (std::str::from_utf8(head).ok()?, std::str::from_utf8(json).ok()?);
    let version = head.split(' ').nth(2)?.parse().ok()?;
    Some(Parts { head, version, json, behind: &behind[1..] })
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
            let error = decode::<OffsetRecord>(&at, &damaged.to_vec().into()).expect_err(&what);
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
        let text = Bytes::from(format!("{}\n{json}\n", header("commit", FORMAT + 1, json)));
        let error = decode::<CommitRecord>(&Path::from("commits/0"), &text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = decode::<OffsetRecord>(&Path::from("offsets/0"), &text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "a commit is no offsets");
    }
}

//! When to merge what: keeps the number of segments logarithmic and what a restore reads near the size of the state.
//!
//! - **Tiers**: [`FANOUT`] neighbouring segments of one level become one of the next. A row is rewritten once per
//!   level, and there are at most `FANOUT - 1` segments of each. If the oldest of them outweighs the others it is
//!   not rewritten for their sake: it is only counted to the next level.
//! - **Space**: when all segments but the oldest weigh more than the oldest, which holds most of the state, all become
//!   one. What was overwritten, deleted or evicted goes then. The oldest was at most that large, so each byte sealed
//!   pays for about one byte more.
//!
//! Levels never rise from older to newer segments.

use crate::record::SegmentRef;
use std::ops::Range;

/// How many segments of a level make one of the next.
pub(crate) const FANOUT: usize = 8;

/// A merge of neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Which segments.
    pub(crate) inputs: Range<usize>,
    /// The level of the result.
    pub(crate) level: u32,
    /// Whether the segment before the inputs gets that level too.
    pub(crate) raises_previous: bool,
}

/// The merge that is due among the segments from `from` on, if any.
pub(crate) fn due(segments: &[SegmentRef], from: usize) -> Option<Merge> {
    if from == 0
        && let Some(merge) = space(segments)
    {
        return Some(merge);
    }
    let mut end = segments.len();
    while end > from {
        let level = segments[end - 1].level;
        let same = segments[from..end].iter().rev().take_while(|s| s.level == level).count();
        if same >= FANOUT {
            let start = end - same;
            let raises_previous = segments[start].bytes > bytes(&segments[start + 1..end]);
            let inputs = start + usize::from(raises_previous)..end;
            return Some(Merge { inputs, level: level + 1, raises_previous });
        }
        end -= same;
    }
    None
}

fn space(segments: &[SegmentRef]) -> Option<Merge> {
    let (oldest, newer) = segments.split_first()?;
    let enough = segments.len() >= FANOUT && bytes(newer) > oldest.bytes;
    let level = segments.iter().map(|s| s.level).max().unwrap_or(0).max(1);
    enough.then_some(Merge { inputs: 0..segments.len(), level, raises_previous: false })
}

/// Gives the segment before a merge its new level, if the merge says so.
pub(crate) fn raise(segments: &mut [SegmentRef], merge: &Merge) {
    let previous = merge.inputs.start.checked_sub(1).filter(|_| merge.raises_previous);
    if let Some(segment) = previous.and_then(|i| segments.get_mut(i)) {
        segment.level = merge.level;
    }
}

/// The size of segments in bytes.
pub(crate) fn bytes(segments: &[SegmentRef]) -> u64 {
    segments.iter().map(|s| s.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::BatchId;

    /// Seals segments of these sizes; a merge keeps the given share of its bytes. Returns what is left, the bytes
    /// written in all, and the most segments there were.
    fn run(sizes: impl Iterator<Item = u64>, keep: impl Fn(u64) -> u64) -> (Vec<SegmentRef>, u64, usize) {
        let (mut segments, mut written, mut most) = (Vec::<SegmentRef>::new(), 0, 0);
        for (n, bytes) in sizes.enumerate() {
            let at = BatchId(n as u64);
            segments.push(SegmentRef {
                name: String::new(),
                carried_by: None,
                first: at,
                last: at,
                level: 0,
                bytes,
                rows: 0,
                crc: 0,
            });
            written += bytes;
            while let Some(merge) = due(&segments, 0) {
                raise(&mut segments, &merge);
                let merged = keep(super::bytes(&segments[merge.inputs.clone()]));
                written += merged;
                let (first, last) = (segments[merge.inputs.start].first, segments[merge.inputs.end - 1].last);
                let one =
                    SegmentRef { first, last, level: merge.level, bytes: merged, ..segments[0].clone() };
                segments.splice(merge.inputs, [one]);
            }
            most = most.max(segments.len());
            assert!(segments.is_sorted_by(|a, b| a.level >= b.level), "{segments:?}");
        }
        (segments, written, most)
    }

    #[test]
    fn growing_state_is_rewritten_a_logarithmic_number_of_times() {
        let batches = 100_000;
        let (segments, written, most) = run((0..batches).map(|_| 100), |bytes| bytes);
        assert_eq!(bytes(&segments), batches * 100);
        assert!(most <= 7 * 6 + 2, "most segments at once: {most}");
        assert!(written <= 9 * batches * 100, "bytes written per byte: {}", written / (batches * 100));
    }

    #[test]
    fn state_of_constant_size_is_read_back_at_a_small_factor_of_it() {
        let live = 5_000;
        let (segments, written, most) = run((0..50_000).map(|_| 100), |bytes| bytes.min(live));
        assert!(bytes(&segments) <= 3 * live, "{segments:?}");
        assert!(most <= 30, "most segments at once: {most}");
        assert!(written <= 8 * 50_000 * 100, "bytes written per byte: {}", written / (50_000 * 100));
    }

    #[test]
    fn large_first_batch_is_not_rewritten_for_small_ones() {
        let (_, written, most) =
            run([1_000_000_000].into_iter().chain((0..1_000).map(|_| 100)), |bytes| bytes);
        assert!(written < 1_001_000_000, "{written}");
        assert!(most <= 7 * 4 + 2, "{most}");
    }
}

//! Clocks, instants, watermarks, and the spelling of intervals.
//!
//! Nothing in the engine reads the wall clock itself: a [`Clock`] is passed in, so that a run can be repeated and a
//! test can turn the hands.

use crate::{Error, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z. Event times of coarser columns are exact; finer ones round down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// ISO 8601 in UTC with as many fraction digits as needed.
    pub fn to_iso(self) -> String {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(t) => {
                let text = t.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
                let digits = text.trim_end_matches('Z').trim_end_matches('0');
                format!("{}Z", digits.trim_end_matches('.'))
            }
            None => format!("{}us", self.0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

/// The watermark in force in a batch: rows with an event time below it are not expected any more.
/// `None` inside means that no row has been seen yet, or that the query has no event time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub Option<Timestamp>);

impl Watermark {
    /// Not known yet: nothing is late, nothing is final.
    pub const UNKNOWN: Self = Self(None);

    /// The watermark in microseconds, once known.
    pub fn micros(self) -> Option<i64> {
        self.0.map(|t| t.0)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock now.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary fixed point that never goes back, for measuring durations.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(now.map(|d| d.as_micros() as i64).unwrap_or(0))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    micros: Arc<Mutex<i64>>,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now: Timestamp) -> Self {
        Self { micros: Arc::new(Mutex::new(now.0)) }
    }

    /// Turns the hands forward (or, with [`ManualClock::set`], to any time).
    pub fn advance(&self, by: Duration) {
        *self.micros.lock() += by.as_micros() as i64;
    }

    /// Shows this time from now on.
    pub fn set(&self, now: Timestamp) {
        *self.micros.lock() = now.0;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.micros.lock())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros((*self.micros.lock()).max(0) as u64)
    }
}

/// Units of an interval and their length in microseconds. Months and years have no fixed length and are refused.
const UNITS: &[(&str, i64)] = &[
    ("microsecond", 1),
    ("us", 1),
    ("millisecond", 1_000),
    ("ms", 1_000),
    ("second", 1_000_000),
    ("sec", 1_000_000),
    ("s", 1_000_000),
    ("minute", 60_000_000),
    ("min", 60_000_000),
    ("m", 60_000_000),
    ("hour", 3_600_000_000),
    ("h", 3_600_000_000),
    ("day", 86_400_000_000),
    ("d", 86_400_000_000),
    ("week", 604_800_000_000),
    ("w", 604_800_000_000),
];

/// Reads an interval of fixed length, as `10 minutes`, `1 hour 30 minutes`, `1.5 seconds`, `500ms`; returns microseconds.
///
/// # Errors
/// `Invalid` when it is not one, and for months and years, which have no fixed length.
pub fn parse_interval(text: &str) -> Result<i64> {
    let wrong = |why: &str| Error::invalid(format!("not an interval: `{text}`; {why}, as in '10 minutes'"));
    let trimmed = text.trim();
    let lower = trimmed.to_ascii_lowercase();
    let mut rest = lower.strip_prefix("interval ").unwrap_or(&lower).trim_start();
    if rest.is_empty() {
        return Err(wrong("write a number and a unit"));
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if matches!(unit.strip_suffix('s').unwrap_or(unit), "month" | "year" | "quarter") {
            return Err(wrong("months and years have no fixed length; write days"));
        }
        let length = unit_length(unit).ok_or_else(|| wrong("write a number and a unit"))?;
        let part = scale(number, length).ok_or_else(|| wrong("the number is not one, or is too large"))?;
        total = total.checked_add(part).ok_or_else(|| wrong("it is too long"))?;
        rest = tail.trim_start_matches([' ', ',']);
    }
    Ok(total)
}

fn unit_length(unit: &str) -> Option<i64> {
    let find = |name: &str| UNITS.iter().find(|(u, _)| *u == name).map(|(_, length)| *length);
    find(unit).or_else(|| unit.strip_suffix('s').filter(|u| u.len() > 1).and_then(find))
}

/// `number` times `length`, exactly for whole numbers, to the microsecond for fractions.
fn scale(number: &str, length: i64) -> Option<i64> {
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(length);
    }
    let scaled = number.parse::<f64>().ok()? * length as f64;
    (scaled.abs() < 9.0e18).then(|| scaled.round() as i64)
}

/// Prints microseconds as an interval that [`parse_interval`] reads back, in the largest unit that is whole.
pub fn format_interval(micros: i64) -> String {
    const PRINT: &[(&str, i64)] = &[
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ];
    if micros == 0 {
        return "0 seconds".to_string();
    }
    let (unit, length) =
        PRINT.iter().find(|(_, length)| micros % length == 0).copied().unwrap_or(("microsecond", 1));
    let n = micros / length;
    format!("{n} {unit}{}", if n.unsigned_abs() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_in_every_spelling() {
        for (text, micros) in [
            ("10 minutes", 600_000_000),
            ("INTERVAL 5 SECOND", 5_000_000),
            ("1 hour 30 minutes", 5_400_000_000),
            ("1.5 seconds", 1_500_000),
            ("500ms", 500_000),
            (" 2 days ", 172_800_000_000),
            ("-1 second", -1_000_000),
            ("0 seconds", 0),
        ] {
            assert_eq!(parse_interval(text).unwrap(), micros, "{text}");
        }
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in [
            "",
            "ten minutes",
            "5",
            "minutes",
            "1 month",
            "2 years",
            "9e99 days",
            "99999999999999999 days",
            "1..2 s",
        ] {
            assert_eq!(parse_interval(text).unwrap_err().kind(), crate::ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn interval_prints_what_it_reads() {
        for micros in [i64::MIN, 0, 1, 1_000, 1_500_000, 60_000_000, 86_400_000_000, -3_600_000_000] {
            assert_eq!(parse_interval(&format_interval(micros)).unwrap(), micros);
        }
    }

    #[test]
    fn iso_has_only_the_digits_it_needs() {
        assert_eq!(Timestamp(15_000_000).to_iso(), "1970-01-01T00:00:15Z");
        assert_eq!(Timestamp(-1).to_iso(), "1969-12-31T23:59:59.999999Z");
    }
}

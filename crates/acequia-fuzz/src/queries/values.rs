//! Values of rows and literals: few and small ones, so that groups meet and sums are exact, and in some cases odd ones.

use super::relations::COLUMNS;
use super::scope::{Generator, Type};

/// Of a hundred values in a case that has odd ones so many are odd, by what they are.
const ODD_FLOATS: u32 = 40;
const ODD_TEXTS: u32 = 30;
const ODD_INTS: u32 = 10;
const ODD_TIMES: u32 = 15;

const FLOATS: [&str; 5] = ["NaN", "-0.0", "0.0", "Infinity", "-Infinity"];
const TEXTS: [&str; 8] = ["", " ", "X", "é", "e\u{301}", "ß", "日本", "\u{1d11e}"];
const INTS: [i64; 4] = [i64::MAX, i64::MIN, 1 << 62, -1];
const TIMES: [&str; 6] = [
    "1969-12-31 23:59:59.999",
    "1970-01-01 00:00:00",
    "2000-02-29 12:00:00",
    "2026-01-01 00:00:59.999",
    "2026-01-01 00:01:00",
    "2262-04-11 23:47:16",
];
/// Times that have no nanoseconds or whose month has none, as those have that are compared with `now()` or truncated.
const FAR_TIMES: [&str; 5] = [
    "0001-01-01 00:00:00",
    "1677-09-21 00:12:43",
    "1677-09-21 00:12:44",
    "2262-04-11 23:47:17",
    "9999-12-31 23:59:59.999",
];

impl Generator {
    pub(super) fn literal(&mut self, data_type: Type) -> String {
        match data_type {
            Type::Int => self.number(-1..=5).to_string(),
            Type::Float if self.odd && self.chance(ODD_FLOATS) => self.odd_float(),
            Type::Float => format!("{}.5", self.number(0..=3)),
            Type::Text if self.odd && self.chance(ODD_TEXTS) => format!("'{}'", self.one_of(&TEXTS)),
            Type::Text => format!("'{}'", self.one_of(&["", "x", "y", "z"])),
            Type::Time => format!("TIMESTAMP '2026-01-01T00:00:{:02}'", self.number(0..=59)),
        }
    }

    fn odd_float(&mut self) -> String {
        format!("CAST('{}' AS DOUBLE)", self.one_of(&FLOATS))
    }

    /// A row of a step, in parentheses.
    pub(super) fn row(&mut self, step: i64) -> String {
        let values = COLUMNS.iter().map(|(name, data_type, _)| match data_type {
            _ if self.chance(10) => "NULL".to_string(),
            Type::Int if *name == "k" => self.number(0..=3).to_string(),
            Type::Int if self.odd && self.chance(ODD_INTS) => {
                format!("CAST('{}' AS BIGINT)", self.one_of(&INTS))
            }
            Type::Int => self.number(-2..=6).to_string(),
            Type::Float if self.odd && self.chance(ODD_FLOATS) => self.odd_float(),
            Type::Float => format!("{}.{}", self.number(-1..=3), self.one_of(&["0", "5"])),
            Type::Text => self.literal(Type::Text),
            Type::Time if self.odd && self.chance(ODD_TIMES) => {
                let far = !self.moving && !self.truncates && self.chance(30);
                format!("'{}'", if far { self.one_of(&FAR_TIMES) } else { self.one_of(&TIMES) })
            }
            Type::Time => {
                let second = 60 + step * 10 + self.number(-25..=10);
                format!("'2026-01-01 00:{:02}:{:02}'", second / 60, second % 60)
            }
        });
        format!("({})", values.collect::<Vec<_>>().join(", "))
    }
}

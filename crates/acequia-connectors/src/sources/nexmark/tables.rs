//! The tables of Nexmark and their columns: the one place that spells them.
//!
//! Spelling is lower case with underscores (`date_time` for the original `dateTime`), since SQL folds identifiers that
//! are not quoted.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// What `table = '...'` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// All events: `event_type` 0, 1, 2 and a struct for each kind, two of them NULL.
    Event,
    Person,
    Auction,
    Bid,
}

impl Table {
    /// Words of the option, in the order of the variants.
    pub(crate) const WORDS: [&'static str; 4] = ["event", "person", "auction", "bid"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let index = Self::WORDS.iter().position(|w| *w == word)?;
        [Self::Event, Self::Person, Self::Auction, Self::Bid].get(index).copied()
    }

    /// The kinds of events, by `event_type`.
    pub(crate) const KINDS: [Self; 3] = [Self::Person, Self::Auction, Self::Bid];

    pub(crate) fn schema(self) -> SchemaRef {
        Arc::new(Schema::new(self.fields()))
    }

    pub(crate) fn fields(self) -> Fields {
        let fields = match self {
            Self::Event => {
                let structs = Self::KINDS.into_iter().zip(&Self::WORDS[1..]);
                let structs = structs.map(|(t, word)| (*word, DataType::Struct(t.fields())));
                std::iter::once(("event_type", DataType::Int32)).chain(structs).collect()
            }
            Self::Person => person(),
            Self::Auction => auction(),
            Self::Bid => bid(),
        };
        fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect()
    }
}

const TEXT: DataType = DataType::Utf8;
const LONG: DataType = DataType::Int64;
const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn person() -> Vec<(&'static str, DataType)> {
    vec![
        ("id", LONG),
        ("name", TEXT),
        ("email_address", TEXT),
        ("credit_card", TEXT),
        ("city", TEXT),
        ("state", TEXT),
        ("date_time", TIME),
        ("extra", TEXT),
    ]
}

fn auction() -> Vec<(&'static str, DataType)> {
    vec![
        ("id", LONG),
        ("item_name", TEXT),
        ("description", TEXT),
        ("initial_bid", LONG),
        ("reserve", LONG),
        ("date_time", TIME),
        ("expires", TIME),
        ("seller", LONG),
        ("category", LONG),
        ("extra", TEXT),
    ]
}

fn bid() -> Vec<(&'static str, DataType)> {
    vec![
        ("auction", LONG),
        ("bidder", LONG),
        ("price", LONG),
        ("channel", TEXT),
        ("url", TEXT),
        ("date_time", TIME),
        ("extra", TEXT),
    ]
}

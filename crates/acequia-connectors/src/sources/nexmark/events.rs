//! The order of events and the ids that follow from it.
//!
//! Of every 50 events one is a person, three are auctions and 46 are bids, in this order. So the kind of an event, its
//! id and the last person and auction before it follow from its number alone. Rules and constants are those of
//! nexmark/nexmark (`GeneratorConfig`, `PersonGenerator`, `AuctionGenerator`, `BidGenerator`).

use super::random::Draw;
use super::tables::Table;
use std::ops::Range;

/// Events of one round.
const ROUND: u64 = 50;
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;

const FIRST_PERSON: i64 = 1000;
const FIRST_AUCTION: i64 = 1000;

/// One hot id for so many.
const HOT_STEP: i64 = 100;
/// People who bid and sell, and ids ahead that are not there yet.
const ACTIVE_PEOPLE: i64 = 1000;
const AUCTIONS_IN_FLIGHT: i64 = 100;
const LEAD: i64 = 10;

/// The factor of the permutation inside a group of events that are out of order.
pub(crate) const SHUFFLE: u64 = 953;

/// When events happen and in which order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The event time of event 0, in milliseconds.
    pub(crate) base_millis: i64,
    /// Events in a second of event time.
    pub(crate) events_per_second: u64,
    /// Events are permuted in groups of so many.
    pub(crate) group: u64,
    /// The number of all events.
    pub(crate) total: u64,
}

impl Schedule {
    /// The event time, in milliseconds: many events share one.
    pub(crate) fn millis(&self, event: u64) -> i64 {
        self.base_millis.saturating_add_unsigned(event.saturating_mul(1000) / self.events_per_second)
    }

    /// The event at a position. The last group stays in order when it is not full, so that the events are exactly
    /// those below `total`.
    fn event_at(&self, position: u64) -> u64 {
        let offset = position % self.group;
        let base = position - offset;
        if base.saturating_add(self.group) > self.total {
            return position;
        }
        base + offset * SHUFFLE % self.group
    }

    /// The events of a table at these positions.
    pub(crate) fn events(&self, table: Table, positions: Range<u64>) -> Vec<u64> {
        let events = positions.map(|p| if self.group == 1 { p } else { self.event_at(p) });
        events.filter(|e| table == Table::Event || kind(*e) == table).collect()
    }

    /// How long an auction at this event may last: twice the time in which 100 auctions come, in milliseconds.
    pub(crate) fn auction_millis(&self, event: u64) -> u64 {
        let ahead = AUCTIONS_IN_FLIGHT as u64 * ROUND / AUCTIONS;
        let horizon = self.millis(event + ahead) - self.millis(event);
        (horizon.unsigned_abs() * 2).max(1)
    }
}

/// Positions that give about so many rows of a table.
pub(crate) fn positions_for(table: Table, rows: u64) -> u64 {
    rows * match table {
        Table::Event => 1,
        Table::Person => ROUND / PERSONS,
        Table::Auction => ROUND / AUCTIONS,
        Table::Bid => ROUND.div_ceil(ROUND - PERSONS - AUCTIONS),
    }
}

/// What kind of event it is.
pub(crate) fn kind(event: u64) -> Table {
    match event % ROUND {
        0 => Table::Person,
        1..=3 => Table::Auction,
        _ => Table::Bid,
    }
}

/// The last person up to this event, counted from 0: a round begins with its people.
fn last_person(event: u64) -> i64 {
    (event / ROUND * PERSONS + PERSONS - 1) as i64
}

/// The last auction up to this event, counted from 0; -1 when there is none.
fn last_auction(event: u64) -> i64 {
    let (round, offset) = ((event / ROUND * AUCTIONS) as i64, (event % ROUND) as i64);
    round + (offset - PERSONS as i64).min(AUCTIONS as i64 - 1)
}

pub(crate) fn person_id(event: u64) -> i64 {
    FIRST_PERSON + last_person(event)
}

pub(crate) fn auction_id(event: u64) -> i64 {
    FIRST_AUCTION + last_auction(event)
}

/// One of the last people, or of the next few that are not there yet.
fn some_person(event: u64, draw: &mut Draw) -> i64 {
    let people = last_person(event) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + draw.below((active + LEAD) as u64) as i64
}

/// Who sells: three of four auctions are of a hot seller.
pub(crate) fn seller(event: u64, mut draw: Draw) -> i64 {
    let hot = draw.hot(4);
    let id = if hot { last_person(event) / HOT_STEP * HOT_STEP } else { some_person(event, &mut draw) };
    FIRST_PERSON + id
}

/// Who bids: three of four bids are of a hot bidder, which is never the hot seller.
pub(crate) fn bidder(event: u64, mut draw: Draw) -> i64 {
    let hot = draw.hot(4);
    let id = if hot { last_person(event) / HOT_STEP * HOT_STEP + 1 } else { some_person(event, &mut draw) };
    FIRST_PERSON + id
}

/// What is bid for: half of the bids are for a hot auction, the others for one of the last or next few.
pub(crate) fn bid_auction(event: u64, mut draw: Draw) -> i64 {
    let last = last_auction(event);
    let id = if draw.hot(2) {
        last / HOT_STEP * HOT_STEP
    } else {
        let first = (last - AUCTIONS_IN_FLIGHT).max(0);
        first + draw.below((last - first + 1 + LEAD) as u64) as i64
    };
    FIRST_AUCTION + id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_the_events_of_their_kind() {
        let (mut people, mut auctions) = (0, 0);
        for event in 0..5_000 {
            match kind(event) {
                Table::Person => {
                    assert_eq!(person_id(event), FIRST_PERSON + people);
                    people += 1;
                }
                Table::Auction => {
                    assert_eq!(auction_id(event), FIRST_AUCTION + auctions);
                    auctions += 1;
                }
                _ => {}
            }
            assert_eq!((last_person(event), last_auction(event)), (people - 1, auctions - 1));
        }
        assert_eq!((people, auctions), (100, 300));
    }

    #[test]
    fn disorder_is_a_permutation_of_the_events() {
        let schedule = Schedule { base_millis: 0, events_per_second: 1, group: 64, total: 1000 };
        let mut events = schedule.events(Table::Event, 0..1000);
        assert_ne!(events[..64], (0..64).collect::<Vec<_>>());
        events.sort_unstable();
        assert_eq!(events, (0..1000).collect::<Vec<_>>());
    }
}

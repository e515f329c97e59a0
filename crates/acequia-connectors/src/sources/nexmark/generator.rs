//! Events straight into Arrow columns.
//!
//! A column is made from the numbers of the events alone, without the other columns: a projection costs what it
//! shows, and cannot change a value.

use super::events::{self, Schedule};
use super::random::{Draw, Prices, Purpose, Seed};
use super::tables::Table;
use acequia_core::{Error, Result};
use arrow::array::{
    Array, ArrayRef, Int32Array, Int64Array, StringArray, StructArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const CHANNELS: u64 = 10_000;
const FIRST_CATEGORY: i64 = 10;
const CATEGORIES: u64 = 5;

/// The average bytes of a row, which `extra` fills up.
const PERSON_BYTES: usize = 200;
const AUCTION_BYTES: usize = 500;
const BID_BYTES: usize = 100;

/// Makes the columns of any range of events.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) schedule: Schedule,
    seed: Seed,
    prices: Prices,
    urls: LazyLock<Urls, Box<dyn FnOnce() -> Urls + Send>>,
}

/// The fixed urls: of the hot channels, then of the others.
#[derive(Debug)]
struct Urls {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Urls {
    fn new(seed: Seed) -> Self {
        let mut urls = Self { bytes: vec![], ends: vec![] };
        for hot in 0..HOT_CHANNELS.len() as u64 {
            base_url(&mut seed.draw(hot, Purpose::HotUrl), &mut urls.bytes);
            urls.ends.push(urls.bytes.len());
        }
        for channel in 0..CHANNELS {
            let mut draw = seed.draw(channel, Purpose::ChannelUrl);
            base_url(&mut draw, &mut urls.bytes);
            if draw.hot(10) {
                let id = (channel as i32).reverse_bits().unsigned_abs();
                urls.bytes.extend_from_slice(format!("&channel_id={id}").as_bytes());
            }
            urls.ends.push(urls.bytes.len());
        }
        urls
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

fn base_url(draw: &mut Draw, out: &mut Vec<u8>) {
    out.extend_from_slice(b"https://www.nexmark.com/");
    for _ in 0..3 {
        draw.word(5, b'_', out);
        out.push(b'/');
    }
    out.extend_from_slice(b"item.htm?query=1");
}

/// A channel: the index of a hot one, or the number of another.
enum Channel {
    Hot(usize),
    Cold(usize),
}

fn channel(mut draw: Draw) -> Channel {
    if draw.hot(2) {
        Channel::Hot(draw.below(HOT_CHANNELS.len() as u64) as usize)
    } else {
        Channel::Cold(draw.below(CHANNELS) as usize)
    }
}

/// Appends letters so that the row has `wanted` bytes on average, give or take a fifth of the letters.
fn padding(mut draw: Draw, so_far: usize, wanted: usize, out: &mut Vec<u8>) {
    let Some(wanted) = wanted.checked_sub(so_far) else { return };
    let delta = (wanted + 2) / 5;
    let len = wanted - delta + if delta == 0 { 0 } else { draw.below(2 * delta as u64) as usize };
    draw.letters(len, out);
}

fn pick<'a>(mut draw: Draw, from: &[&'a str]) -> &'a str {
    from[draw.below(from.len() as u64) as usize]
}

fn name(mut draw: Draw, out: &mut Vec<u8>) {
    out.extend_from_slice(FIRST_NAMES[draw.below(FIRST_NAMES.len() as u64) as usize].as_bytes());
    out.push(b' ');
    out.extend_from_slice(LAST_NAMES[draw.below(LAST_NAMES.len() as u64) as usize].as_bytes());
}

fn email(mut draw: Draw, out: &mut Vec<u8>) {
    draw.phrase(7, out);
    out.push(b'@');
    draw.phrase(5, out);
    out.extend_from_slice(b".com");
}

fn credit_card(mut draw: Draw, out: &mut Vec<u8>) {
    for group in 0..4 {
        if group > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(format!("{:04}", draw.below(10_000)).as_bytes());
    }
}

impl Generator {
    pub(crate) fn new(schedule: Schedule, seed: u64) -> Self {
        let seed = Seed::new(seed);
        let urls: Box<dyn FnOnce() -> Urls + Send> = Box::new(move || Urls::new(seed));
        Self { schedule, seed, prices: Prices::new(), urls: LazyLock::new(urls) }
    }

    /// These columns of a table's rows at these positions, and the number of rows.
    pub(crate) fn columns(
        &self,
        table: Table,
        columns: &[usize],
        positions: Range<u64>,
    ) -> Result<(Vec<ArrayRef>, usize)> {
        let events = self.schedule.events(table, positions);
        let arrays = columns.iter().map(|c| self.column(table, *c, &events));
        Ok((arrays.collect::<Result<_>>()?, events.len()))
    }

    fn column(&self, table: Table, column: usize, events: &[u64]) -> Result<ArrayRef> {
        match table {
            Table::Event => self.event(column, events),
            Table::Person => self.person(column, events),
            Table::Auction => self.auction(column, events),
            Table::Bid => self.bid(column, events),
        }
    }

    fn person(&self, column: usize, events: &[u64]) -> Result<ArrayRef> {
        let draw = |event, purpose| self.seed.draw(event, purpose);
        match column {
            0 => Ok(longs(events, events::person_id)),
            1 => texts(events, |e, out| name(draw(e, Purpose::Name), out)),
            2 => texts(events, |e, out| email(draw(e, Purpose::Email), out)),
            3 => texts(events, |e, out| credit_card(draw(e, Purpose::CreditCard), out)),
            4 => texts(events, |e, out| {
                out.extend_from_slice(pick(draw(e, Purpose::City), &CITIES).as_bytes())
            }),
            5 => texts(events, |e, out| {
                out.extend_from_slice(pick(draw(e, Purpose::State), &STATES).as_bytes())
            }),
            6 => Ok(self.date_time(events)),
            7 => texts(events, |e, out| self.person_extra(e, out)),
            other => Err(no_column(other)),
        }
    }

    fn person_extra(&self, event: u64, out: &mut Vec<u8>) {
        let draw = |purpose| self.seed.draw(event, purpose);
        let start = out.len();
        name(draw(Purpose::Name), out);
        email(draw(Purpose::Email), out);
        let places = pick(draw(Purpose::City), &CITIES).len() + pick(draw(Purpose::State), &STATES).len();
        let so_far = 8 + (out.len() - start) + "0000 0000 0000 0000".len() + places;
        out.truncate(start);
        padding(draw(Purpose::Extra), so_far, PERSON_BYTES, out);
    }

    fn auction(&self, column: usize, events: &[u64]) -> Result<ArrayRef> {
        let draw = |event, purpose| self.seed.draw(event, purpose);
        let initial_bid = |e| self.prices.price(draw(e, Purpose::InitialBid).bits());
        match column {
            0 => Ok(longs(events, events::auction_id)),
            1 => texts(events, |e, out| draw(e, Purpose::Name).phrase(20, out)),
            2 => texts(events, |e, out| draw(e, Purpose::Description).phrase(100, out)),
            3 => Ok(longs(events, initial_bid)),
            4 => Ok(longs(events, |e| initial_bid(e) + self.prices.price(draw(e, Purpose::Reserve).bits()))),
            5 => Ok(self.date_time(events)),
            6 => Ok(millis(events, |e| self.expires(e))),
            7 => Ok(longs(events, |e| events::seller(e, draw(e, Purpose::Seller)))),
            8 => Ok(longs(events, |e| FIRST_CATEGORY + draw(e, Purpose::Category).below(CATEGORIES) as i64)),
            9 => texts(events, |e, out| self.auction_extra(e, out)),
            other => Err(no_column(other)),
        }
    }

    fn expires(&self, event: u64) -> i64 {
        let length = self.seed.draw(event, Purpose::Expires).below(self.schedule.auction_millis(event));
        self.schedule.millis(event).saturating_add(1).saturating_add_unsigned(length)
    }

    fn auction_extra(&self, event: u64, out: &mut Vec<u8>) {
        let start = out.len();
        self.seed.draw(event, Purpose::Name).phrase(20, out);
        self.seed.draw(event, Purpose::Description).phrase(100, out);
        let so_far = 6 * 8 + (out.len() - start);
        out.truncate(start);
        padding(self.seed.draw(event, Purpose::Extra), so_far, AUCTION_BYTES, out);
    }

    fn bid(&self, column: usize, events: &[u64]) -> Result<ArrayRef> {
        let draw = |event, purpose| self.seed.draw(event, purpose);
        match column {
            0 => Ok(longs(events, |e| events::bid_auction(e, draw(e, Purpose::Auction)))),
            1 => Ok(longs(events, |e| events::bidder(e, draw(e, Purpose::Bidder)))),
            2 => Ok(longs(events, |e| self.prices.price(draw(e, Purpose::Price).bits()))),
            3 => texts(events, |e, out| channel_name(draw(e, Purpose::Channel), out)),
            4 => {
                let urls = &*self.urls;
                texts(events, |e, out| out.extend_from_slice(url(urls, draw(e, Purpose::Channel))))
            }
            5 => Ok(self.date_time(events)),
            6 => texts(events, |e, out| padding(draw(e, Purpose::Extra), 4 * 8, BID_BYTES, out)),
            other => Err(no_column(other)),
        }
    }

    fn event(&self, column: usize, events: &[u64]) -> Result<ArrayRef> {
        let kind_of = |e: &u64| Table::KINDS.iter().position(|k| *k == events::kind(*e)).unwrap_or(0);
        if column == 0 {
            return Ok(Arc::new(Int32Array::from_iter_values(events.iter().map(|e| kind_of(e) as i32))));
        }
        let Some(table) = Table::KINDS.get(column - 1) else { return Err(no_column(column)) };
        let own: Vec<u64> = events.iter().copied().filter(|e| events::kind(*e) == *table).collect();
        let fields = table.fields();
        let columns = (0..fields.len()).map(|c| self.column(*table, c, &own)).collect::<Result<_>>()?;
        let rows = StructArray::try_new(fields, columns, None)?;
        let mut next = 0;
        let places = events.iter().map(|e| {
            (events::kind(*e) == *table).then(|| {
                next += 1;
                next - 1
            })
        });
        Ok(take(&rows, &places.collect::<UInt32Array>(), None)?)
    }

    fn date_time(&self, events: &[u64]) -> ArrayRef {
        millis(events, |e| self.schedule.millis(e))
    }
}

fn channel_name(draw: Draw, out: &mut Vec<u8>) {
    match channel(draw) {
        Channel::Hot(index) => out.extend_from_slice(HOT_CHANNELS[index].as_bytes()),
        Channel::Cold(number) => {
            out.extend_from_slice(b"channel-");
            decimal(number, out);
        }
    }
}

/// Appends a number below 10,000; `format!` would be most of the cost of the column.
fn decimal(number: usize, out: &mut Vec<u8>) {
    let digits = [number / 1000, number / 100, number / 10, number].map(|d| b'0' + (d % 10) as u8);
    let skip = digits[..3].iter().take_while(|d| **d == b'0').count();
    out.extend_from_slice(&digits[skip..]);
}

fn url(urls: &Urls, draw: Draw) -> &[u8] {
    match channel(draw) {
        Channel::Hot(index) => urls.get(index),
        Channel::Cold(number) => urls.get(HOT_CHANNELS.len() + number),
    }
}

fn longs(events: &[u64], value: impl Fn(u64) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(events.iter().map(|e| value(*e))))
}

fn millis(events: &[u64], value: impl Fn(u64) -> i64) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(events.iter().map(|e| value(*e))))
}

fn texts(events: &[u64], append: impl Fn(u64, &mut Vec<u8>)) -> Result<ArrayRef> {
    let mut bytes = Vec::with_capacity(events.len() * 16);
    let mut offsets: Vec<i32> = Vec::with_capacity(events.len() + 1);
    offsets.push(0);
    for event in events {
        append(*event, &mut bytes);
        offsets
            .push(i32::try_from(bytes.len()).map_err(|_| Error::internal("a batch of text is above 2 GiB"))?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), None)?) as Arc<dyn Array>)
}

fn no_column(column: usize) -> Error {
    Error::internal(format!("nexmark has no column {column}"))
}

//! Cuts bytes into records, without decoding them.
//!
//! ```text
//! bytes  {"a":1}\n \n{"a":2}\n{"a":      <- rest waits for more bytes
//!        |-------|   |-------|           <- records; the blank line is none
//! block  [------------------]
//! ```
//! A block holds whole records only. JSON and text end at a newline. CSV ends at `\n` or `\r` outside quotes, by the
//! same rules as the csv-core crate that decodes it afterwards.

use super::{BATCH_ROWS, CsvOptions, Cut, RowFormat};
use acequia_core::{Error, Result};
use std::io::Read;
use std::ops::Range;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// A block ends with the record that reaches so many bytes.
const BLOCK_BYTES: usize = 4 << 20;

/// No record is longer: an open quote would otherwise take the rest of the file into memory.
pub(crate) const MAX_RECORD_BYTES: usize = 64 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Some whole records.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    /// Where the records are in `bytes`, their ends of line included.
    pub(crate) records: Vec<Range<usize>>,
    /// Where the block begins.
    pub(crate) start: Cut,
}

impl Block {
    pub(crate) fn record(&self, index: usize) -> &[u8] {
        &self.bytes[self.records[index].clone()]
    }

    /// Some of the records as a block of their own.
    pub(crate) fn part(&self, records: Range<usize>) -> Self {
        let Some(first) = self.records.get(records.start) else { return Self::default() };
        let (from, to) = (first.start, self.records[records.end - 1].end);
        let moved = |r: &Range<usize>| r.start - from..r.end - from;
        Self {
            bytes: self.bytes[from..to].to_vec(),
            records: self.records[records].iter().map(moved).collect(),
            start: self.cut_at(from),
        }
    }

    /// The line of a record, counted from 1.
    pub(crate) fn line_of(&self, index: usize) -> u64 {
        1 + self.cut_at(self.records[index].start).line
    }

    /// The place after a record.
    pub(crate) fn cut_after(&self, index: usize) -> Cut {
        self.cut_at(self.records[index].end)
    }

    fn cut_at(&self, place: usize) -> Cut {
        let lines = memchr::memchr_iter(b'\n', &self.bytes[..place]).count();
        Cut { at: self.start.at + place as u64, skip: 0, line: self.start.line + lines as u64 }
    }
}

/// Where records end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// At newlines; blank lines are records (`text`) or not (`json`).
    Lines { blank: bool },
    /// As CSV.
    Csv { delimiter: u8, quote: u8, escape: Option<u8> },
}

impl Framing {
    pub(crate) fn of(format: &RowFormat) -> Self {
        match format {
            RowFormat::Json => Self::Lines { blank: false },
            RowFormat::Text => Self::Lines { blank: true },
            RowFormat::Csv(CsvOptions { delimiter, quote, escape, .. }) => {
                Self::Csv { delimiter: *delimiter, quote: *quote, escape: *escape }
            }
        }
    }
}

/// Where the scanner stands inside a CSV record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum CsvState {
    #[default]
    RecordStart,
    FieldStart,
    Field,
    Quoted,
    Escaped,
    QuoteInQuoted,
}

/// Reads records.
pub(crate) struct RecordReader {
    input: Box<dyn Read + Send>,
    framing: Framing,
    /// What was read and is in no block yet.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the file.
    start: Cut,
    /// How far `buffer` was looked through, and how the CSV scanner stands there.
    scanned: usize,
    state: CsvState,
    ended: bool,
}

impl RecordReader {
    /// Reads from a place on, which `input` begins at.
    pub(crate) fn new(input: Box<dyn Read + Send>, framing: Framing, start: Cut) -> Self {
        Self { input, framing, buffer: vec![], start, scanned: 0, state: CsvState::default(), ended: false }
    }

    /// The next block, of at most `max_records` records; `None` at the end.
    ///
    /// # Errors
    /// `Data` for damaged compression and endless records; `Unavailable` when reading fails.
    pub(crate) fn next_block(&mut self, max_records: usize) -> Result<Option<Block>> {
        let max_records = max_records.min(BATCH_ROWS);
        let mut records: Vec<Range<usize>> = vec![];
        let mut from = self.skip_bom()?;
        loop {
            while records.len() < max_records && from < BLOCK_BYTES {
                let Some(end) = self.find_end() else { break };
                self.push(from..end, &mut records);
                from = end;
            }
            if records.len() >= max_records || from >= BLOCK_BYTES {
                break;
            }
            if self.ended {
                self.push_rest(from, &mut records);
                from = self.buffer.len();
                break;
            }
            if self.buffer.len() - from > MAX_RECORD_BYTES {
                let line = self.start.line + 1 + records.len() as u64;
                return Err(Error::data(format!(
                    "record is longer than {MAX_RECORD_BYTES} bytes: line={line}; is a quote left open?"
                )));
            }
            self.fill()?;
        }
        if records.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.split_off(from, records)))
    }

    fn push(&self, record: Range<usize>, records: &mut Vec<Range<usize>>) {
        let blank = match &self.framing {
            Framing::Lines { blank } => !blank && self.buffer[record.clone()].trim_ascii().is_empty(),
            Framing::Csv { .. } => self.buffer[record.clone()].iter().all(|b| matches!(b, b'\r' | b'\n')),
        };
        if !blank {
            records.push(record);
        }
    }

    /// The last record needs no end of line.
    fn push_rest(&mut self, from: usize, records: &mut Vec<Range<usize>>) {
        if from < self.buffer.len() {
            self.buffer.push(b'\n');
            self.push(from..self.buffer.len(), records);
            self.scanned = self.buffer.len();
            self.state = CsvState::default();
        }
    }

    /// A byte order mark at the beginning of a file is no part of the first record.
    fn skip_bom(&mut self) -> Result<usize> {
        if self.start.at > 0 || self.scanned > 0 {
            return Ok(0);
        }
        while self.buffer.len() < BOM.len() && !self.ended {
            self.fill()?;
        }
        let skip = if self.buffer.starts_with(BOM) { BOM.len() } else { 0 };
        self.scanned = skip;
        Ok(skip)
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        let mut input = self.input.by_ref().take(READ_BYTES as u64);
        let read = input.read_to_end(&mut self.buffer).map_err(read_failed)?;
        self.ended = read < READ_BYTES;
        Ok(())
    }

    /// Looks on for the end of the record, after its end of line.
    fn find_end(&mut self) -> Option<usize> {
        let Framing::Csv { delimiter, quote, escape } = self.framing else {
            let found = memchr::memchr(b'\n', &self.buffer[self.scanned..]);
            self.scanned = found.map_or(self.buffer.len(), |i| self.scanned + i + 1);
            return found.map(|_| self.scanned);
        };
        let mut state = self.state;
        for (i, byte) in self.buffer.iter().enumerate().skip(self.scanned) {
            state = match (state, *byte) {
                (CsvState::Quoted, b) if b == quote => CsvState::QuoteInQuoted,
                (CsvState::Quoted, b) if Some(b) == escape => CsvState::Escaped,
                (CsvState::Quoted | CsvState::Escaped, _) => CsvState::Quoted,
                (CsvState::QuoteInQuoted, b) if b == quote => CsvState::Quoted,
                (_, b'\r' | b'\n') => {
                    (self.scanned, self.state) = (i + 1, CsvState::RecordStart);
                    return Some(i + 1);
                }
                (_, b) if b == delimiter => CsvState::FieldStart,
                (CsvState::RecordStart | CsvState::FieldStart, b) if b == quote => CsvState::Quoted,
                _ => CsvState::Field,
            };
        }
        (self.scanned, self.state) = (self.buffer.len(), state);
        None
    }

    /// The first bytes of the buffer as a block; the rest stays.
    fn split_off(&mut self, end: usize, records: Vec<Range<usize>>) -> Block {
        let rest = self.buffer.split_off(end);
        let block = Block { bytes: std::mem::replace(&mut self.buffer, rest), records, start: self.start };
        self.start = block.cut_at(end);
        self.scanned -= end;
        block
    }
}

/// Damaged compression shows as one of these kinds.
fn read_failed(error: std::io::Error) -> Error {
    use std::io::ErrorKind as K;
    let damaged = matches!(error.kind(), K::InvalidInput | K::InvalidData | K::UnexpectedEof | K::Other);
    let message = format!("cannot be read: {error}");
    if damaged {
        Error::data(message).with_source(error)
    } else {
        Error::unavailable(message).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slowly(Vec<u8>, usize);

    impl Read for Slowly {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Some(byte) = self.0.get(self.1) else { return Ok(0) };
            out[0] = *byte;
            self.1 += 1;
            Ok(1)
        }
    }

    fn csv() -> Framing {
        Framing::Csv { delimiter: b',', quote: b'"', escape: Some(b'\\') }
    }

    fn records(text: &str, framing: &Framing, max: usize) -> Vec<(u64, String)> {
        let input = Box::new(Slowly(text.as_bytes().to_vec(), 0));
        let mut reader = RecordReader::new(input, framing.clone(), Cut::default());
        let mut out = vec![];
        while let Some(block) = reader.next_block(max).unwrap() {
            for i in 0..block.records.len() {
                let text = String::from_utf8(block.record(i).to_vec()).unwrap();
                out.push((block.line_of(i), text.trim_end().to_string()));
            }
        }
        out
    }

    #[test]
    fn records_and_their_lines_are_found_whatever_the_block() {
        let json = "\u{feff}{\"a\":1}\n\n  \n{\"ä\":2}\r\n{\"a\":3}";
        let wanted = [(1, "{\"a\":1}"), (4, "{\"ä\":2}"), (5, "{\"a\":3}")].map(|(l, t)| (l, t.to_string()));
        for max in [1, 2, 100] {
            assert_eq!(records(json, &Framing::Lines { blank: false }, max), wanted);
        }
        let text = records("a\n\nb\n", &Framing::Lines { blank: true }, 2);
        assert_eq!(text, [(1, "a"), (2, ""), (3, "b")].map(|(l, t)| (l, t.to_string())));
    }

    #[test]
    fn csv_records_end_outside_quotes_only() {
        let text = "a,\"x\ny\"\r\n5\" pipe,b\n\"he said \"\"\n\"\"\",c\n\n\"esc \\\"\n\",d";
        let wanted =
            [(1, "a,\"x\ny\""), (3, "5\" pipe,b"), (4, "\"he said \"\"\n\"\"\",c"), (7, "\"esc \\\"\n\",d")];
        for max in [1, 3, 100] {
            assert_eq!(records(text, &csv(), max), wanted.map(|(l, t)| (l, t.to_string())));
        }
    }

    #[test]
    fn reading_from_any_cut_gives_the_rest() {
        let text = "one\n\"two\nlines\"\n\nthree\nfour";
        let all = records(text, &csv(), 100);
        let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut reader = RecordReader::new(input, csv(), Cut::default());
        let block = reader.next_block(100).unwrap().unwrap();
        for i in 0..3 {
            let cut = block.cut_after(i);
            let rest = Box::new(std::io::Cursor::new(text.as_bytes()[cut.at as usize..].to_vec()));
            let mut reader = RecordReader::new(rest, csv(), cut);
            let rest = reader.next_block(100).unwrap().unwrap();
            let lines: Vec<_> = (0..rest.records.len()).map(|i| rest.line_of(i)).collect();
            assert_eq!(lines, all[i + 1..].iter().map(|(l, _)| *l).collect::<Vec<_>>());
        }
    }
}

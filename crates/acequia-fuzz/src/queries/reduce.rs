//! Takes from a failing case what it does not need to fail in the same way.
//!
//! Rows and settings are known as such. A query is a list of tokens here: ranges of them are left out, or a subquery is
//! put in place of the whole, and what is no query any more does not fail in the same way. Two rules keep the answer
//! unique: an ORDER BY is one token, and there stay as many of them as there are words that need one.

use super::run::{Outcome, kind, run};
use super::{Case, case::Step};
use acequia_sqltest::variant::Variant;

/// How many smaller cases are tried.
const TRIES: usize = 1500;

/// The longest range of tokens that is tried at every place.
const RANGE: usize = 12;

/// Words that make the answer depend on an order.
const ORDERED: [&str; 8] =
    ["LIMIT", "row_number", "lag", "lead", "first_value", "last_value", "ROWS", "DISTINCT ON"];

/// The reduced case as a .sql file, with what it gives.
pub fn reduced(case: &Case, failure: &str) -> String {
    let mut reduction =
        Reduction { case: case.clone(), failure: failure.to_string(), kind: kind(failure), tries: 0 };
    while reduction.round() {}
    let comment = reduction.failure.lines().map(|line| format!("-- {line}\n")).collect::<String>();
    format!("{}{comment}{}", reduction.case.setting(), reduction.case.sql())
}

struct Reduction {
    case: Case,
    failure: String,
    kind: String,
    tries: usize,
}

impl Reduction {
    /// Tries everything once; whether anything could go.
    fn round(&mut self) -> bool {
        let before = self.case.clone();
        self.settings();
        self.steps();
        self.hoist();
        self.tokens();
        self.rows();
        self.case != before && self.tries < TRIES
    }

    /// Takes the candidate if it fails in the same way.
    fn take(&mut self, candidate: Case) -> bool {
        if candidate == self.case || self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        match run(&candidate) {
            Outcome::Wrong(failure) if kind(&failure) == self.kind => {
                (self.case, self.failure) = (candidate, failure);
                true
            }
            _ => false,
        }
    }

    fn settings(&mut self) {
        let mut death = self.case.deaths.len();
        while death > 0 {
            death -= 1;
            let mut case = self.case.clone();
            case.deaths.remove(death);
            self.take(case);
        }
        self.take(Case { shards: None, ..self.case.clone() });
        self.take(Case { watermark: false, ..self.case.clone() });
        self.take(Case { mode: "CHANGES", ..self.case.clone() });
        self.take(Case { variant: Variant::AsWritten, ..self.case.clone() });
    }

    fn steps(&mut self) {
        let mut at = self.case.steps.len();
        while at > 0 {
            at -= 1;
            self.with_steps(|steps| drop(steps.remove(at)));
        }
        for at in 0..self.case.steps.len() {
            let mut insert = self.case.steps[at].len();
            while insert > 0 && self.case.steps[at].len() > 1 {
                insert -= 1;
                self.with_steps(|steps| drop(steps[at].remove(insert)));
            }
        }
    }

    fn with_steps(&mut self, change: impl FnOnce(&mut Vec<Step>)) -> bool {
        let mut case = self.case.clone();
        change(&mut case.steps);
        self.take(case)
    }

    fn rows(&mut self) {
        for step in 0..self.case.steps.len() {
            for insert in 0..self.case.steps[step].len() {
                let mut row = self.case.steps[step][insert].1.len();
                while row > 0 && self.case.steps[step][insert].1.len() > 1 {
                    row -= 1;
                    self.with_steps(|steps| drop(steps[step][insert].1.remove(row)));
                }
            }
        }
        let mut row = self.case.table.len();
        while row > 0 && self.case.table.len() > 1 {
            row -= 1;
            let mut case = self.case.clone();
            case.table.remove(row);
            self.take(case);
        }
    }

    /// A subquery instead of the whole query.
    fn hoist(&mut self) {
        let mut at = 0;
        loop {
            let tokens = tokens(&self.case.query);
            let Some(open) = (at..tokens.len()).find(|i| {
                tokens[*i] == "(" && tokens.get(i + 1).is_some_and(|t| t == "SELECT" || t == "WITH")
            }) else {
                return;
            };
            let close = closing(&tokens, open);
            let query = tokens[open + 1..close].join(" ");
            at = if self.take(Case { query, ..self.case.clone() }) { 0 } else { open + 1 };
        }
    }

    fn tokens(&mut self) {
        let mut all = tokens(&self.case.query);
        let mut size = all.len() / 2;
        while size > 0 && self.tries < TRIES {
            let (mut at, step) = (0, if size > RANGE { size.div_ceil(4) } else { 1 });
            while at + size <= all.len() {
                let rest = [&all[..at], &all[at + size..]].concat();
                let same = is_sound(&rest) && self.take(Case { query: rest.join(" "), ..self.case.clone() });
                if same {
                    all = rest;
                } else {
                    at += step;
                }
            }
            size = if size > RANGE { size / 2 } else { size - 1 };
        }
    }
}

/// Whether parentheses match, and what needs an order may still have one.
fn is_sound(tokens: &[String]) -> bool {
    let mut depth = 0_i32;
    for token in tokens {
        depth += i32::from(token == "(") - i32::from(token == ")");
        if depth < 0 {
            return false;
        }
    }
    let count = |wanted: &dyn Fn(&str) -> bool| tokens.iter().filter(|token| wanted(token)).count();
    depth == 0 && count(&|t| t.starts_with("ORDER BY")) >= count(&|t| ORDERED.contains(&t))
}

fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        depth += i32::from(token == "(") - i32::from(token == ")");
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Words, texts, numbers and signs; an ORDER BY up to what follows it.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens: Vec<String> = vec![];
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("ORDER BY") => order(rest),
            '<' | '>' | '|' => rest.find(|c| !"<>=|".contains(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let length = if rest.starts_with("ORDER BY") { order(rest) } else { length };
        tokens.push(rest[..length].trim_end().to_string());
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// The length of an ORDER BY with its columns.
fn order(text: &str) -> usize {
    [")", " LIMIT ", " ROWS "].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_sql() {
        let text =
            "SELECT t1.k||'x y' AS c0 FROM (SELECT 1) WHERE a >= -1.5 ORDER BY t1.k DESC, t1.v LIMIT 3";
        let expected = [
            "SELECT",
            "t1.k",
            "||",
            "'x y'",
            "AS",
            "c0",
            "FROM",
            "(",
            "SELECT",
            "1",
            ")",
            "WHERE",
            "a",
            ">=",
            "-",
            "1.5",
            "ORDER BY t1.k DESC, t1.v",
            "LIMIT",
            "3",
        ];
        assert_eq!(tokens(text), expected);
    }

    #[test]
    fn what_needs_an_order_keeps_it() {
        let sound = |text: &str| is_sound(&tokens(text));
        assert!(sound("SELECT k FROM alpha ORDER BY k LIMIT 1"));
        assert!(!sound("SELECT k FROM alpha LIMIT 1"));
        assert!(!sound("SELECT (k FROM alpha"));
        assert!(!sound("SELECT )k( FROM alpha"));
    }
}

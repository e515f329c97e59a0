//! What a query is made of while it is generated: random choices, relations and their columns.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Float,
    Text,
    Time,
}

/// A column as an expression may name it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: Type,
}

impl Column {
    pub(super) fn new(name: impl Into<String>, data_type: Type) -> Self {
        Self { name: name.into(), data_type }
    }
}

/// Something that may stand in FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// A name, or a query.
    pub(super) sql: String,
    pub(super) columns: Vec<Column>,
    /// Whether its columns are known by position, as those of a query are.
    pub(super) is_query: bool,
}

impl Relation {
    /// As it stands in FROM.
    pub(super) fn factor(&self) -> String {
        if self.is_query { format!("({})", self.sql) } else { self.sql.clone() }
    }

    /// Its columns under an alias.
    pub(super) fn columns_of(&self, alias: &str) -> Vec<Column> {
        self.columns.iter().map(|c| Column::new(format!("{alias}.{}", c.name), c.data_type)).collect()
    }
}

/// Random choices, and names that are not taken.
pub(super) struct Generator {
    random: SmallRng,
    aliases: usize,
    columns: usize,
    /// Whether there are values at the edges of their types.
    pub(super) odd: bool,
    /// Whether times are compared with that of the batch.
    pub(super) moving: bool,
    /// Whether times are truncated.
    pub(super) truncates: bool,
}

/// Of a hundred cases so many have odd values.
const ODD: u32 = 25;

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let odd = random.random_ratio(ODD, 100);
        Self { random, aliases: 0, columns: 0, odd, moving: false, truncates: false }
    }

    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A select list with names that no other has, and its columns.
    pub(super) fn named(&mut self, items: Vec<(String, Type)>) -> (String, Vec<Column>) {
        let (mut list, mut columns) = (vec![], vec![]);
        for (item, data_type) in items {
            let name = format!("c{}", self.columns);
            self.columns += 1;
            list.push(format!("{item} AS {name}"));
            columns.push(Column::new(name, data_type));
        }
        (list.join(", "), columns)
    }

    /// True so often of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn number(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
        self.random.random_range(range)
    }

    pub(super) fn count(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.random.random_range(range)
    }

    /// One of several; the slice is not empty.
    pub(super) fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.random.random_range(0..of.len())]
    }

    /// One of several, each as likely as its weight.
    pub(super) fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let total: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.random.random_range(0..total);
        for (weight, choice) in of {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        of[0].1
    }

    pub(super) fn column(&mut self, columns: &[Column], data_type: Type) -> Option<Column> {
        let of_type: Vec<&Column> = columns.iter().filter(|c| c.data_type == data_type).collect();
        if of_type.is_empty() { None } else { Some((*self.one_of(&of_type)).clone()) }
    }
}

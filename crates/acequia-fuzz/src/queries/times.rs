//! What goes by time: rows joined with the nearest ones of another relation, versions of tables, bounds that move.

use super::relations::{STREAMS, TABLE, query};
use super::scope::{Column, Generator, Relation, Type};

impl Generator {
    /// Rows, each with what another relation had at its time.
    pub(super) fn as_of(&mut self, depth: usize) -> Relation {
        let mut from = self.from(depth);
        let added =
            if self.chance(70) { self.nearest(&from.columns, depth) } else { self.version(&from.columns) };
        let Some((join, columns)) = added else { return self.select(depth) };
        from.sql += &join;
        from.columns.extend(columns);
        let condition = self.filter(&from.columns, 0);
        let items = self.items(&from.columns);
        let (list, columns) = self.named(items);
        query(format!("SELECT {list} FROM {}{condition}", from.sql), columns)
    }

    /// An ASOF JOIN, and the columns that it adds.
    fn nearest(&mut self, left: &[Column], depth: usize) -> Option<(String, Vec<Column>)> {
        let (next, alias) = (self.relation(depth.saturating_sub(1)), self.alias());
        let right = next.columns_of(&alias);
        let ordered = self.weighted(&[(4, Type::Time), (1, Type::Int)]);
        let (l, r) = (self.column(left, ordered)?, self.column(&right, ordered)?);
        let comparison = self.weighted(&[(4, ">="), (2, ">"), (2, "<="), (1, "<")]);
        let keys = match self.chance(80) {
            true => format!(" ON {}", self.equal(left, &right)?),
            false => String::new(),
        };
        let (l, r) = (l.name, r.name);
        let join =
            format!(" ASOF JOIN {} AS {alias} MATCH_CONDITION ({l} {comparison} {r}){keys}", next.factor());
        Some((join, right))
    }

    /// A join with the version of a stream that was in force, or with the table as it is.
    fn version(&mut self, left: &[Column]) -> Option<(String, Vec<Column>)> {
        // The third stream has no watermark where its rows also go again.
        let name = self.weighted(&[(2, STREAMS[0]), (2, STREAMS[1]), (1, TABLE)]);
        let time = if name == TABLE { "now()".to_string() } else { self.column(left, Type::Time)?.name };
        let alias = self.alias();
        let right = Relation { sql: name.to_string(), columns: super::relations::columns(), is_query: false };
        let right = right.columns_of(&alias);
        let kind = *self.one_of(&["JOIN", "LEFT JOIN"]);
        let keys = self.equal(left, &right)?;
        Some((format!(" {kind} {name} FOR SYSTEM_TIME AS OF {time} AS {alias} ON {keys}"), right))
    }

    /// Equalities of columns.
    fn equal(&mut self, left: &[Column], right: &[Column]) -> Option<String> {
        let mut keys = vec![];
        for _ in 0..self.weighted(&[(4, 1), (1, 2)]) {
            let data_type = self.type_of(left);
            let (l, r) = (self.column(left, data_type)?, self.column(right, data_type)?);
            keys.push(format!("{} = {}", l.name, r.name));
        }
        Some(keys.join(" AND "))
    }

    /// A condition whose bound moves on with the time of the batch, over times as rows have them.
    pub(super) fn moving(&mut self, columns: &[Column]) -> Option<String> {
        let time = self.column(columns, Type::Time)?.name;
        self.moving = true;
        let bound = |this: &mut Self, comparisons: &[&str]| {
            let comparison = this.one_of::<&str>(comparisons);
            format!("{time} {comparison} now() + INTERVAL '{} seconds'", this.number(30..=90))
        };
        let first = bound(self, &["<", "<=", ">", ">=", ">="]);
        if self.chance(25) {
            let second = bound(self, &["<", ">"]);
            return Some(format!("{first} AND {second}"));
        }
        Some(if self.chance(30) { format!("{first} AND {}", self.condition(columns, 1)) } else { first })
    }
}

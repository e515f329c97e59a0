//! Subqueries in conditions and select lists.

use super::scope::{Column, Generator, Type};

impl Generator {
    /// A condition with a subquery in it.
    pub(super) fn subquery_condition(&mut self, columns: &[Column], depth: usize) -> String {
        let data_type = self.type_of(columns);
        let x = self.expression(data_type, columns, 1);
        match self.count(0..=6) {
            0 | 1 => format!("{x} IN ({})", self.list(data_type, columns, depth)),
            2 => format!("{x} NOT IN ({})", self.list(data_type, &[], depth)),
            3 => format!("EXISTS ({})", self.correlated(columns, depth)),
            4 => format!("NOT EXISTS ({})", self.correlated(columns, depth)),
            _ => {
                let comparison = *self.one_of(&["=", "<", "<=", ">", ">=", "<>"]);
                format!("{x} {comparison} ({})", self.scalar(data_type, columns, depth))
            }
        }
    }

    /// A query of one column of the type, sometimes correlated with the columns of the query around it.
    fn list(&mut self, data_type: Type, outer: &[Column], depth: usize) -> String {
        let (relation, alias) = (self.relation(depth), self.alias());
        let inner = relation.columns_of(&alias);
        let item = self.expression(data_type, &inner, 1);
        let condition = match !outer.is_empty() && self.chance(25) {
            true => format!(" WHERE {}", self.between(&inner, outer, &["="])),
            false if self.chance(40) => format!(" WHERE {}", self.condition(&inner, 1)),
            false => String::new(),
        };
        format!("SELECT {item} AS c0 FROM {} AS {alias}{condition}", relation.factor())
    }

    fn correlated(&mut self, outer: &[Column], depth: usize) -> String {
        let (relation, alias) = (self.relation(depth), self.alias());
        let inner = relation.columns_of(&alias);
        let mut condition = self.between(&inner, outer, &["="]);
        if self.chance(30) {
            condition += &format!(" AND {}", self.between(&inner, outer, &["<", ">=", "<>"]));
        }
        if self.chance(30) {
            condition += &format!(" AND {}", self.condition(&inner, 1));
        }
        format!("SELECT 1 FROM {} AS {alias} WHERE {condition}", relation.factor())
    }

    /// A query of one value.
    pub(super) fn scalar(&mut self, data_type: Type, outer: &[Column], depth: usize) -> String {
        let (relation, alias) = (self.relation(depth), self.alias());
        let inner = relation.columns_of(&alias);
        let function = match data_type {
            Type::Int => *self.one_of(&["min", "max", "sum", "count"]),
            _ => *self.one_of(&["min", "max"]),
        };
        let argument = self.expression(data_type, &inner, 1);
        let condition = match !outer.is_empty() && self.chance(40) {
            true => format!(" WHERE {}", self.between(&inner, outer, &["="])),
            false => String::new(),
        };
        format!("SELECT {function}({argument}) FROM {} AS {alias}{condition}", relation.factor())
    }
}

//! Expressions and conditions over the columns in sight.

use super::scope::{Column, Generator, Type};

const COMPARISONS: [&str; 8] = ["=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"];

impl Generator {
    /// An expression of the type.
    pub(super) fn expression(&mut self, data_type: Type, columns: &[Column], depth: usize) -> String {
        if depth == 0 || self.chance(65) {
            return match self.column(columns, data_type) {
                Some(column) => column.name,
                None => self.literal(data_type),
            };
        }
        let depth = depth - 1;
        if self.chance(20) {
            let condition = self.condition(columns, depth);
            let (yes, no) =
                (self.expression(data_type, columns, depth), self.expression(data_type, columns, depth));
            return match self.chance(70) {
                true => format!("CASE WHEN {condition} THEN {yes} ELSE {no} END"),
                false => format!("CASE WHEN {condition} THEN {yes} END"),
            };
        }
        let x = self.expression(data_type, columns, depth);
        let y = self.expression(data_type, columns, depth);
        match data_type {
            Type::Int => match self.count(0..=6) {
                0 => format!("({x} + {y})"),
                1 => format!("({x} - {y})"),
                2 => format!("({x} * 2)"),
                3 => format!("({x} % 3)"),
                4 => format!("coalesce({x}, {y})"),
                5 => format!("nullif({x}, {y})"),
                _ => format!("length({})", self.expression(Type::Text, columns, depth)),
            },
            Type::Float => match self.count(0..=2) {
                0 => format!("({x} + {y})"),
                1 => format!("coalesce({x}, {y})"),
                _ => format!("CAST({} AS DOUBLE)", self.expression(Type::Int, columns, depth)),
            },
            Type::Text => match self.count(0..=3) {
                0 => format!("({x} || {y})"),
                1 => format!("upper({x})"),
                2 => format!("coalesce({x}, {y})"),
                _ => format!("CAST({} AS VARCHAR)", self.expression(Type::Int, columns, depth)),
            },
            Type::Time => match self.count(0..=1) {
                // Finer truncations compute what is below a NULL too, which overflows in debug builds of DataFusion 55.
                0 => {
                    self.truncates = true;
                    format!("date_trunc('month', {x})")
                }
                _ => format!("coalesce({x}, {y})"),
            },
        }
    }

    /// A condition without subqueries.
    pub(super) fn condition(&mut self, columns: &[Column], depth: usize) -> String {
        if depth > 0 && self.chance(30) {
            let (x, y) = (self.condition(columns, depth - 1), self.condition(columns, depth - 1));
            return match self.count(0..=4) {
                0 | 1 => format!("({x} AND {y})"),
                2 | 3 => format!("({x} OR {y})"),
                _ => format!("NOT ({x})"),
            };
        }
        let data_type = self.type_of(columns);
        let x = self.expression(data_type, columns, depth.min(1));
        match self.count(0..=9) {
            0 => format!("{x} IS NULL"),
            1 => format!("{x} IS NOT NULL"),
            2 => format!("{x} IN ({}, {})", self.literal(data_type), self.literal(data_type)),
            3 => format!("{x} NOT BETWEEN {} AND {}", self.literal(data_type), self.literal(data_type)),
            4 if data_type == Type::Text => format!("{x} LIKE '%x%'"),
            number => {
                let y = match number {
                    5..=7 => self.literal(data_type),
                    _ => self.expression(data_type, columns, depth.min(1)),
                };
                let comparison = self.one_of::<&str>(&COMPARISONS);
                compared(&x, comparison, &y)
            }
        }
    }

    /// A condition that compares something of one side with something of the other.
    pub(super) fn between(&mut self, left: &[Column], right: &[Column], comparisons: &[&str]) -> String {
        let data_type = self.type_of(left);
        let x = self.expression(data_type, left, 1);
        let y = self.expression(data_type, right, 1);
        let comparison = self.one_of::<&str>(comparisons);
        compared(&x, comparison, &y)
    }

    /// The type of one of the columns.
    pub(super) fn type_of(&mut self, columns: &[Column]) -> Type {
        if columns.is_empty() { Type::Int } else { self.one_of(columns).data_type }
    }
}

/// In parentheses where what follows would be taken for the right side.
fn compared(x: &str, comparison: &str, y: &str) -> String {
    if comparison.starts_with("IS") {
        format!("({x} {comparison} {y})")
    } else {
        format!("{x} {comparison} {y}")
    }
}

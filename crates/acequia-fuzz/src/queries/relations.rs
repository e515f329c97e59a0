//! Queries, from the outside in: each makes the relations that it reads from.

use super::scope::{Column, Generator, Relation, Type};

/// The streams; all have the same columns.
pub(super) const STREAMS: [&str; 3] = ["alpha", "beta", "gamma"];

/// The static table.
pub(super) const TABLE: &str = "fixed";

/// The columns of the streams; the table has them too.
pub(super) const COLUMNS: [(&str, Type, &str); 5] = [
    ("k", Type::Int, "BIGINT"),
    ("v", Type::Int, "BIGINT"),
    ("s", Type::Text, "VARCHAR"),
    ("f", Type::Float, "DOUBLE"),
    ("ts", Type::Time, "TIMESTAMP(3)"),
];

/// The stream whose rows also go again, in some cases.
pub(super) const CHANGING: &str = STREAMS[2];

/// A shape of a query.
type Shape = fn(&mut Generator, usize) -> Relation;

const SHAPES: &[(u32, Shape)] = &[
    (6, Generator::select),
    (6, Generator::aggregate),
    (2, Generator::set_operation),
    (2, Generator::top),
    (2, Generator::over),
    (1, Generator::ranked),
    (1, Generator::distinct_on),
    (1, Generator::unnest),
    (1, Generator::twice),
    (2, Generator::windowed),
    (2, Generator::as_of),
];

/// What an outermost FROM holds: relations by their aliases, joined.
pub(super) struct From {
    pub(super) sql: String,
    pub(super) columns: Vec<Column>,
}

/// The columns of a stream or the table.
pub(super) fn columns() -> Vec<Column> {
    COLUMNS.iter().map(|(name, data_type, _)| Column::new(*name, *data_type)).collect()
}

impl Generator {
    /// The text of a query.
    pub(super) fn query(&mut self) -> String {
        let depth = self.weighted(&[(3, 1), (5, 2), (2, 3)]);
        self.shaped(depth).sql
    }

    fn shaped(&mut self, depth: usize) -> Relation {
        let shape = self.weighted(SHAPES);
        shape(self, depth)
    }

    /// A name or a query.
    pub(super) fn relation(&mut self, depth: usize) -> Relation {
        if depth > 0 && self.chance(60) {
            return self.shaped(depth - 1);
        }
        let name = if self.chance(12) { TABLE } else { *self.one_of(&STREAMS) };
        let mut columns = columns();
        let mut sql = name.to_string();
        if self.chance(8) {
            sql = self.in_windows(name);
            columns.extend(["window_start", "window_end"].map(|name| Column::new(name, Type::Time)));
        }
        Relation { sql, columns, is_query: false }
    }

    pub(super) fn select(&mut self, depth: usize) -> Relation {
        let from = self.from(depth);
        let condition = self.filter(&from.columns, depth);
        let distinct = if self.chance(15) { "DISTINCT " } else { "" };
        let mut items = self.items(&from.columns);
        if depth > 0 && self.chance(8) {
            items.push((format!("({})", self.scalar(Type::Int, &from.columns, depth - 1)), Type::Int));
        }
        let (list, columns) = self.named(items);
        query(format!("SELECT {distinct}{list} FROM {}{condition}", from.sql), columns)
    }

    /// Expressions for a select list.
    pub(super) fn items(&mut self, columns: &[Column]) -> Vec<(String, Type)> {
        let count = self.count(1..=4);
        let item = |this: &mut Self| {
            let data_type = this.type_of(columns);
            (this.expression(data_type, columns, 2), data_type)
        };
        (0..count).map(|_| item(self)).collect()
    }

    /// WHERE, or nothing.
    pub(super) fn filter(&mut self, columns: &[Column], depth: usize) -> String {
        if self.chance(4)
            && let Some(condition) = self.moving(columns)
        {
            return format!(" WHERE {condition}");
        }
        if depth > 0 && self.chance(20) {
            return format!(" WHERE {}", self.subquery_condition(columns, depth - 1));
        }
        if self.chance(40) { format!(" WHERE {}", self.condition(columns, 2)) } else { String::new() }
    }

    pub(super) fn from(&mut self, depth: usize) -> From {
        let below = depth.saturating_sub(1);
        let (first, alias) = (self.relation(below), self.alias());
        let mut from =
            From { sql: format!("{} AS {alias}", first.factor()), columns: first.columns_of(&alias) };
        let joins = self.weighted(&[(11, 0), (7, 1), (2, 2)]);
        for _ in 0..joins {
            let (next, alias) = (self.relation(below), self.alias());
            self.join(&mut from, &next, &alias);
        }
        from
    }

    fn join(&mut self, from: &mut From, next: &Relation, alias: &str) {
        let columns = next.columns_of(alias);
        let kind = self.weighted(&[
            (8, "JOIN"),
            (5, "LEFT JOIN"),
            (3, "RIGHT JOIN"),
            (3, "FULL JOIN"),
            (2, "LEFT SEMI JOIN"),
            (2, "LEFT ANTI JOIN"),
            (1, "CROSS JOIN"),
        ]);
        let condition = match kind {
            "CROSS JOIN" => String::new(),
            _ if !next.is_query
                && from.columns.iter().any(|c| c.name.ends_with(".k"))
                && self.chance(15)
                && from.columns.iter().filter(|c| c.name.ends_with(".k")).count() == 1 =>
            {
                " USING (k)".to_string()
            }
            _ => {
                let comparisons: &[&str] = match self.count(0..=11) {
                    0 => &["<", ">=", "<>"],
                    1 => &["IS NOT DISTINCT FROM"],
                    _ => &["="],
                };
                let mut on = self.between(&from.columns, &columns, comparisons);
                if self.chance(15) {
                    on += &format!(" AND {}", self.between(&from.columns, &columns, &["="]));
                }
                if self.chance(25) {
                    on += &format!(" AND {}", self.between(&from.columns, &columns, &["<", ">=", "<>"]));
                }
                if self.chance(10) {
                    on += &format!(" AND {}", self.condition(&columns, 1));
                }
                format!(" ON {on}")
            }
        };
        from.sql += &format!(" {kind} {} AS {alias}{condition}", next.factor());
        if !kind.contains("SEMI") && !kind.contains("ANTI") {
            from.columns.extend(columns);
        }
    }

    fn aggregate(&mut self, depth: usize) -> Relation {
        let from = self.from(depth);
        let condition = self.filter(&from.columns, depth);
        let groups = self.weighted(&[(2, 0), (6, 1), (3, 2)]);
        let mut items = vec![];
        for _ in 0..groups {
            let data_type = self.type_of(&from.columns);
            items.push((self.expression(data_type, &from.columns, 1), data_type));
        }
        let keys: Vec<String> = (1..=groups).map(|n| n.to_string()).collect();
        let group = match groups {
            0 => String::new(),
            _ if self.chance(8) => format!(
                " GROUP BY ROLLUP ({})",
                items.iter().map(|i| i.0.clone()).collect::<Vec<_>>().join(", ")
            ),
            _ => format!(" GROUP BY {}", keys.join(", ")),
        };
        for _ in 0..self.count(if groups == 0 { 1..=3 } else { 0..=3 }) {
            items.push(self.function(&from.columns));
        }
        let having = match groups > 0 && self.chance(20) {
            true => {
                let (function, data_type) = self.function(&from.columns);
                format!(
                    " HAVING {function} {} {}",
                    self.one_of(&["<", ">=", "=", "<>"]),
                    self.literal(data_type)
                )
            }
            false => String::new(),
        };
        let (list, columns) = self.named(items);
        query(format!("SELECT {list} FROM {}{condition}{group}{having}", from.sql), columns)
    }

    /// A table function that adds the windows of each row.
    fn in_windows(&mut self, name: &str) -> String {
        let (kind, sizes) = *self.one_of(&[
            ("TUMBLE", "INTERVAL '20' SECOND"),
            ("HOP", "INTERVAL '10' SECOND, INTERVAL '20' SECOND"),
            ("CUMULATE", "INTERVAL '10' SECOND, INTERVAL '30' SECOND"),
        ]);
        format!("{kind}(TABLE {name}, DESCRIPTOR(ts), {sizes})")
    }

    /// An aggregate by windows of some time.
    fn windowed(&mut self, depth: usize) -> Relation {
        let from = self.from(depth);
        let Some(time) = self.column(&from.columns, Type::Time) else { return self.aggregate(depth) };
        let condition = self.filter(&from.columns, depth);
        let (window, arguments) = *self.one_of(&[
            ("window", "'20 seconds'"),
            ("window", "'20 seconds', '10 seconds'"),
            ("window", "'1 minute', '1 minute', '7 seconds'"),
            ("session_window", "'6 seconds'"),
            ("session_window", "'15 seconds'"),
        ]);
        let mut items = vec![(format!("{window}.start"), Type::Time), (format!("{window}.end"), Type::Time)];
        let mut keys = vec![format!("{window}({}, {arguments})", time.name)];
        for _ in 0..self.weighted(&[(3, 0), (4, 1), (1, 2)]) {
            let data_type = *self.one_of(&[Type::Int, Type::Text]);
            let key = self.expression(data_type, &from.columns, 1);
            keys.push((items.len() + 1).to_string());
            items.push((key, data_type));
        }
        for _ in 0..self.count(1..=3) {
            items.push(self.function(&from.columns));
        }
        let (list, columns) = self.named(items);
        query(format!("SELECT {list} FROM {}{condition} GROUP BY {}", from.sql, keys.join(", ")), columns)
    }

    /// An aggregate function over the columns.
    fn function(&mut self, columns: &[Column]) -> (String, Type) {
        let int = self.expression(Type::Int, columns, 1);
        let any = self.type_of(columns);
        let value = self.expression(any, columns, 1);
        let (call, data_type) = match self.count(0..=11) {
            0 | 1 => ("count(*)".to_string(), Type::Int),
            2 => (format!("count({value})"), Type::Int),
            3 | 4 => (format!("sum({int})"), Type::Int),
            5 | 6 => (format!("min({value})"), any),
            7 | 8 => (format!("max({value})"), any),
            9 => (format!("count(DISTINCT {value})"), Type::Int),
            // Of numbers that are no longer exact as floats the mean depends on their order.
            10 if !self.odd => (format!("avg({int})"), Type::Float),
            _ => (format!("sum(DISTINCT {int})"), Type::Int),
        };
        match self.chance(15) {
            true => (format!("{call} FILTER (WHERE {})", self.condition(columns, 1)), data_type),
            false => (call, data_type),
        }
    }

    fn set_operation(&mut self, depth: usize) -> Relation {
        let count = self.count(1..=3);
        let types: Vec<Type> =
            (0..count).map(|_| *self.one_of(&[Type::Int, Type::Int, Type::Text, Type::Float])).collect();
        let branch = |this: &mut Self| {
            let from = this.from(depth);
            let condition = this.filter(&from.columns, depth);
            let items = types.iter().map(|t| (this.expression(*t, &from.columns, 1), *t)).collect();
            let (list, columns) = this.named(items);
            (format!("SELECT {list} FROM {}{condition}", from.sql), columns)
        };
        let (left, columns) = branch(self);
        let (right, _) = branch(self);
        let operation = self.weighted(&[
            (4, "UNION ALL"),
            (3, "UNION"),
            (2, "EXCEPT"),
            (2, "INTERSECT"),
            (1, "EXCEPT ALL"),
            (1, "INTERSECT ALL"),
        ]);
        query(format!("{left} {operation} {right}"), columns)
    }

    fn top(&mut self, depth: usize) -> Relation {
        let (below, alias) = (self.relation(depth), self.alias());
        let columns = below.columns_of(&alias);
        let order = self.order(&columns);
        let list = columns.iter().map(|c| (c.name.clone(), c.data_type)).collect();
        let (list, named) = self.named(list);
        let limit = self.number(1..=4);
        let offset = if self.chance(20) { format!(" OFFSET {}", self.number(1..=2)) } else { String::new() };
        query(
            format!(
                "SELECT {list} FROM {} AS {alias} ORDER BY {order} LIMIT {limit}{offset}",
                below.factor()
            ),
            named,
        )
    }

    /// All the columns, in some order.
    fn order(&mut self, columns: &[Column]) -> String {
        let first = self.count(0..=columns.len().saturating_sub(1));
        let rotated = columns[first..].iter().chain(&columns[..first]);
        let mut keys = vec![];
        for column in rotated {
            let direction = self.one_of(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            keys.push(format!("{}{direction}", column.name));
        }
        keys.join(", ")
    }

    fn partition(&mut self, columns: &[Column]) -> String {
        if self.chance(30) {
            return String::new();
        }
        let data_type = self.type_of(columns);
        format!("PARTITION BY {} ", self.expression(data_type, columns, 1))
    }

    /// A window function with its OVER; if wanted, one that is the same for all rows of one place in the order.
    fn window_function(
        &mut self,
        columns: &[Column],
        (partition, order): (&str, &str),
        of_peers: bool,
    ) -> (String, Type) {
        let int = self.expression(Type::Int, columns, 1);
        let any = self.type_of(columns);
        let value = self.expression(any, columns, 1);
        let some = format!("{partition}ORDER BY {}", order.split(',').next().unwrap_or_default());
        let all = format!("{partition}ORDER BY {order}");
        let frame = match self.count(0..=3) {
            0 => String::new(),
            1 => " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW".to_string(),
            2 => " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING".to_string(),
            _ => " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING".to_string(),
        };
        let peers = self.frame_of_values(columns, order);
        match if of_peers { *self.one_of(&[1, 2, 7, 8, 10, 11, 12]) } else { self.count(0..=13) } {
            0 => (format!("row_number() OVER ({all})"), Type::Int),
            1 => (format!("rank() OVER ({some})"), Type::Int),
            2 => (format!("dense_rank() OVER ({some})"), Type::Int),
            3 => (format!("lag({value}) OVER ({all})"), any),
            4 => (format!("lead({value}, 2) OVER ({all})"), any),
            5 => (format!("first_value({value}) OVER ({all}{frame})"), any),
            6 => (format!("last_value({value}) OVER ({all}{frame})"), any),
            7 => (format!("count(*) OVER ({some})"), Type::Int),
            8 => (format!("sum({int}) OVER ({partition})"), Type::Int),
            9 => (format!("max({value}) OVER ({all}{frame})"), any),
            10 => (format!("count({value}) OVER ({some}{peers})"), Type::Int),
            11 => (format!("min({value}) OVER ({some}{peers})"), any),
            12 => (format!("sum({int}) OVER ({some}{peers})"), Type::Int),
            _ => (format!("sum({int}) OVER ({all}{frame})"), Type::Int),
        }
    }

    /// A frame that rows with the same first value of the order share.
    fn frame_of_values(&mut self, columns: &[Column], order: &str) -> &'static str {
        let first = columns.iter().find(|column| order.split([' ', ',']).next() == Some(&column.name));
        let range = match first.map(|column| column.data_type) {
            Some(Type::Int) => " RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING",
            Some(Type::Float) => " RANGE BETWEEN 0.5 PRECEDING AND 1 FOLLOWING",
            Some(Type::Time) => " RANGE INTERVAL '5 seconds' PRECEDING",
            Some(Type::Text) | None => " RANGE CURRENT ROW",
        };
        self.one_of::<&'static str>(&[
            "",
            range,
            range,
            " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " GROUPS UNBOUNDED PRECEDING",
            " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        ])
    }

    fn over(&mut self, depth: usize) -> Relation {
        let (below, alias) = (self.relation(depth), self.alias());
        let columns = below.columns_of(&alias);
        let mut items = self.items(&columns);
        let (mut partition, mut order) = (self.partition(&columns), self.order(&columns));
        for number in 0..self.count(1..=3) {
            if self.chance(30) {
                (partition, order) = (self.partition(&columns), self.order(&columns));
            }
            // Two orders of rows that are the same would leave open which of their places belong together.
            items.push(self.window_function(&columns, (&partition, &order), number > 0));
        }
        let condition = self.filter(&columns, 0);
        let (list, named) = self.named(items);
        query(format!("SELECT {list} FROM {} AS {alias}{condition}", below.factor()), named)
    }

    /// The first rows of each partition.
    fn ranked(&mut self, depth: usize) -> Relation {
        let (below, alias, outer) = (self.relation(depth), self.alias(), self.alias());
        let columns = below.columns_of(&alias);
        let (partition, order) = (self.partition(&columns), self.order(&columns));
        let (function, order) = match self.count(0..=3) {
            0 => ("rank()", order.split(',').next().unwrap_or_default().to_string()),
            _ => ("row_number()", order),
        };
        let mut items: Vec<_> = columns.iter().map(|c| (c.name.clone(), c.data_type)).collect();
        items.push((format!("{function} OVER ({partition}ORDER BY {order})"), Type::Int));
        let (list, named) = self.named(items);
        let rank = named[named.len() - 1].name.clone();
        let limit = self.number(1..=3);
        query(
            format!(
                "SELECT * FROM (SELECT {list} FROM {} AS {alias}) AS {outer} WHERE {rank} <= {limit}",
                below.factor()
            ),
            named,
        )
    }

    fn distinct_on(&mut self, depth: usize) -> Relation {
        let (below, alias) = (self.relation(depth), self.alias());
        let columns = below.columns_of(&alias);
        let mut on = columns.clone();
        on.truncate(1);
        let order = self.order(&columns[1..]);
        let items = columns.iter().map(|c| (c.name.clone(), c.data_type)).collect();
        let (list, named) = self.named(items);
        let order = if order.is_empty() { on[0].name.clone() } else { format!("{}, {order}", on[0].name) };
        query(
            format!(
                "SELECT DISTINCT ON ({}) {list} FROM {} AS {alias} ORDER BY {order}",
                on[0].name,
                below.factor()
            ),
            named,
        )
    }

    fn unnest(&mut self, depth: usize) -> Relation {
        let (below, alias) = (self.relation(depth), self.alias());
        let columns = below.columns_of(&alias);
        let mut items = self.items(&columns);
        let (x, y) = (self.expression(Type::Int, &columns, 1), self.expression(Type::Int, &columns, 1));
        items.push((format!("unnest(make_array({x}, {y}))"), Type::Int));
        let condition = self.filter(&columns, 0);
        let (list, named) = self.named(items);
        query(format!("SELECT {list} FROM {} AS {alias}{condition}", below.factor()), named)
    }

    /// A relation with a name that is read twice.
    fn twice(&mut self, depth: usize) -> Relation {
        let (below, name) = (self.shaped(depth.saturating_sub(1)), self.alias());
        let (left, right) = (self.alias(), self.alias());
        let [l, r] = [below.columns_of(&left), below.columns_of(&right)];
        let mut on = self.between(&l, &r, &["=", "=", "=", "<"]);
        if self.chance(30) {
            on += &format!(" AND {}", self.between(&l, &r, &["<", "<>"]));
        }
        let kind = *self.one_of(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
        let items = self.items(&[l, r].concat());
        let (list, named) = self.named(items);
        query(
            format!(
                "WITH {name} AS ({}) SELECT {list} FROM {name} AS {left} {kind} {name} AS {right} ON {on}",
                below.sql
            ),
            named,
        )
    }
}

pub(super) fn query(sql: String, columns: Vec<Column>) -> Relation {
    Relation { sql, columns, is_query: true }
}

//! How a column derives from event time.

use super::grid::WindowSpec;
use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use std::collections::BTreeSet;

/// A column that carries event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeColumn {
    /// The watermarks ([`EventTimeWatermark::id`]) it derives from; the least of them holds. None: there is no
    /// watermark below, only the role is known.
    pub watermarks: BTreeSet<String>,
    /// How it derives from event time.
    pub role: TimeRole,
    /// The column's type.
    pub data_type: DataType,
}

/// How a column derives from event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeRole {
    /// The marked column itself, maybe in a finer unit.
    EventTime,
    /// A time without a watermark, where a window is made of one.
    Unmarked,
    /// A monotone non-decreasing function of another time.
    Monotone {
        /// What it is a function of.
        of: Box<TimeColumn>,
        /// The function, over the one column [`ARGUMENT`].
        function: Expr,
    },
    /// `{start, end}` of a window of fixed size.
    Window(WindowOf),
    /// The list of a row's windows, not unnested yet.
    WindowList(WindowOf),
    /// The start of a window.
    WindowStart(WindowOf),
    /// The end of a window.
    WindowEnd(WindowOf),
    /// `{start, end}` of a session.
    Session(SessionOf),
    /// The start of a session.
    SessionStart(SessionOf),
    /// The end of a session.
    SessionEnd(SessionOf),
    /// `window_time` of a window or session: the last instant before its end, which has this role.
    LastInstant(Box<TimeColumn>),
}

/// The name of the one column of a [`TimeRole::Monotone`] function.
pub const ARGUMENT: &str = "t";

/// Windows of fixed size over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowOf {
    /// The windows.
    pub spec: WindowSpec,
    /// The time that they are made of.
    pub of: Box<TimeColumn>,
}

/// Sessions over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOf {
    /// The gap in microseconds; `None` where each row has its own.
    pub gap: Option<i64>,
    /// Which rows a session takes together.
    pub partition: SessionPartition,
    /// Whether a GROUP BY has merged them. Until then every row has its own, which only a GROUP BY may see.
    pub merged: bool,
    /// The time that they are made of.
    pub of: Box<TimeColumn>,
}

/// Which rows a session takes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionPartition {
    /// Those that agree in the other keys of the GROUP BY.
    GroupKeys,
    /// Those that agree in these columns, by their place in the same output.
    Columns(Vec<usize>),
    /// Those that agree in keys which are not in the output any more.
    Lost,
}

impl TimeColumn {
    pub(super) fn unmarked(data_type: DataType) -> Self {
        Self { watermarks: BTreeSet::new(), role: TimeRole::Unmarked, data_type }
    }

    /// The same derivation with another role.
    pub(super) fn with(&self, role: TimeRole, data_type: DataType) -> Self {
        Self { watermarks: self.watermarks.clone(), role, data_type }
    }

    /// The session, where the column is one or a bound of one.
    pub fn session(&self) -> Option<&SessionOf> {
        match &self.role {
            TimeRole::Session(s) | TimeRole::SessionStart(s) | TimeRole::SessionEnd(s) => Some(s),
            TimeRole::LastInstant(end) => end.session(),
            _ => None,
        }
    }

    fn session_mut(&mut self) -> Option<&mut SessionOf> {
        match &mut self.role {
            TimeRole::Session(s) | TimeRole::SessionStart(s) | TimeRole::SessionEnd(s) => Some(s),
            TimeRole::LastInstant(end) => end.session_mut(),
            _ => None,
        }
    }

    /// Whether values of this role have a bound that a function or a window can go by.
    pub(super) fn is_ordered(&self) -> bool {
        use TimeRole as R;
        !matches!(self.role, R::Window(_) | R::WindowList(_) | R::Session(_) | R::SessionStart(_))
            && self.session().is_none_or(|s| s.merged)
    }

    pub(super) fn merge_sessions(&mut self) {
        if let Some(session) = self.session_mut() {
            session.merged = true;
        }
    }

    /// The column after its neighbours have moved: `place` gives the new place of an old column.
    pub(super) fn moved(mut self, place: &dyn Fn(usize) -> Option<usize>) -> Self {
        if let Some(session) = self.session_mut()
            && let SessionPartition::Columns(columns) = &session.partition
        {
            let columns: Option<Vec<usize>> = columns.iter().map(|c| place(*c)).collect();
            session.partition = columns.map_or(SessionPartition::Lost, SessionPartition::Columns);
        }
        self
    }

    /// A column of rows of both, where they agree in all but the watermarks.
    pub(super) fn united(mut self, other: &Self) -> Option<Self> {
        let both_or_none = self.watermarks.is_empty() == other.watermarks.is_empty();
        let role = united_role(&self.role, &other.role)?;
        (both_or_none && self.data_type == other.data_type).then(|| {
            self.watermarks.extend(other.watermarks.iter().cloned());
            Self { role, ..self }
        })
    }
}

fn united_role(a: &TimeRole, b: &TimeRole) -> Option<TimeRole> {
    use TimeRole as R;
    let inner = |a: &TimeColumn, b: &TimeColumn| a.clone().united(b).map(Box::new);
    let window = |a: &WindowOf, b: &WindowOf| {
        let of = inner(&a.of, &b.of)?;
        (a.spec == b.spec).then_some(WindowOf { spec: a.spec, of })
    };
    let session = |a: &SessionOf, b: &SessionOf| {
        let of = inner(&a.of, &b.of)?;
        let same = a.gap == b.gap && a.partition == b.partition && a.merged == b.merged;
        same.then(|| SessionOf { of, ..a.clone() })
    };
    Some(match (a, b) {
        (R::EventTime, R::EventTime) => R::EventTime,
        (R::Unmarked, R::Unmarked) => R::Unmarked,
        (R::Monotone { of: a, function: f }, R::Monotone { of: b, function: g }) if f == g => {
            R::Monotone { of: inner(a, b)?, function: f.clone() }
        }
        (R::Window(a), R::Window(b)) => R::Window(window(a, b)?),
        (R::WindowList(a), R::WindowList(b)) => R::WindowList(window(a, b)?),
        (R::WindowStart(a), R::WindowStart(b)) => R::WindowStart(window(a, b)?),
        (R::WindowEnd(a), R::WindowEnd(b)) => R::WindowEnd(window(a, b)?),
        (R::Session(a), R::Session(b)) => R::Session(session(a, b)?),
        (R::SessionStart(a), R::SessionStart(b)) => R::SessionStart(session(a, b)?),
        (R::SessionEnd(a), R::SessionEnd(b)) => R::SessionEnd(session(a, b)?),
        (R::LastInstant(a), R::LastInstant(b)) => R::LastInstant(inner(a, b)?),
        _ => return None,
    })
}

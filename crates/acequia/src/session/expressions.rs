//! Event-time windows as expressions, beside DataFusion's own functions.
//!
//! Lengths are written as in SQL, `10 minutes`; a wrong one is an error when the frame is planned. In a
//! [`super::DataFrame::group_by`] the windows are a column `window` with the fields `start` and `end`.

use crate::functions::call::{GroupFunction, Kind};
use datafusion::logical_expr::{Expr, ScalarUDF, lit};

/// Windows of this length, one after the other.
///
/// ```
/// # use acequia::prelude::*;
/// let by_minute = vec![window(col("at"), "1 minute")];
/// ```
pub fn window(time: Expr, size: &str) -> Expr {
    call(Kind::Window, vec![time, lit(size)], "window")
}

/// Windows of this length, one beginning every `slide`: a row is in `size / slide` of them.
///
/// ```
/// # use acequia::prelude::*;
/// let last_ten_minutes = vec![sliding_window(col("at"), "10 minutes", "1 minute")];
/// ```
pub fn sliding_window(time: Expr, size: &str, slide: &str) -> Expr {
    call(Kind::Window, vec![time, lit(size), lit(slide)], "window")
}

/// Windows that begin this long after 1970-01-01 00:00 UTC and every `slide` from there on, as `15 minutes` past each
/// hour.
pub fn window_from(time: Expr, size: &str, slide: &str, start: &str) -> Expr {
    call(Kind::Window, vec![time, lit(size), lit(slide), lit(start)], "window")
}

/// Rows of the other group keys that follow each other within less than `gap`: a text, or an expression of each row.
///
/// ```
/// # use acequia::prelude::*;
/// let fixed = vec![col("user"), session_window(col("at"), "5 minutes")];
/// let by_row = vec![col("user"), session_window(col("at"), col("patience"))];
/// ```
pub fn session_window(time: Expr, gap: impl Gap) -> Expr {
    call(Kind::SessionWindow, vec![time, gap.into_expr()], "session_window")
}

/// How long a session stays open after a row.
pub trait Gap {
    /// As an expression.
    fn into_expr(self) -> Expr;
}

impl Gap for &str {
    fn into_expr(self) -> Expr {
        lit(self)
    }
}

impl Gap for Expr {
    fn into_expr(self) -> Expr {
        self
    }
}

fn call(kind: Kind, args: Vec<Expr>, name: &str) -> Expr {
    ScalarUDF::from(GroupFunction::new(kind)).call(args).alias(name)
}

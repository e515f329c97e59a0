//! ASOF JOIN and the versions of tables in joins, in the one form in which they are planned.
//!
//! ```text
//! a ASOF JOIN b MATCH_CONDITION (c) ON k JOIN d ON e  ->  (a ASOF JOIN b MATCH_CONDITION (c) ON k) JOIN d ON e
//! a JOIN b FOR SYSTEM_TIME AS OF t ON k               ->  (a ASOF JOIN b MATCH_CONDITION (__system_time(t)) ON k)
//! a LEFT JOIN b FOR SYSTEM_TIME AS OF t ON k          ->  (a ASOF JOIN b MATCH_CONDITION (__system_time_or_null(t)) ON k)
//! ```
//! DataFusion plans the joins of a FROM clause itself, and asks for what it does not know only where a relation begins. So
//! such a join becomes the last one of a relation in parentheses.

use super::build;
use datafusion::common::JoinType;
use datafusion::sql::sqlparser::ast::{
    Expr, Join, JoinOperator, ObjectName, TableFactor, TableVersion, TableWithJoins,
};

/// Functions that stand for the version of a right side, and the joins that they are for.
const SYSTEM_TIME: [(&str, JoinType); 2] =
    [("__system_time", JoinType::Inner), ("__system_time_or_null", JoinType::Left)];

/// The version of the right side of a join.
#[derive(Debug, Clone, Copy)]
pub struct SystemTime<'a> {
    /// The time of the version.
    pub time: &'a Expr,
    /// Which rows of the left side come out.
    pub kind: JoinType,
}

/// The version that the condition of an ASOF JOIN in canonical form stands for, if it does.
pub fn system_time(condition: &Expr) -> Option<SystemTime<'_>> {
    let Expr::Function(call) = condition else { return None };
    let name = build::simple_name(&call.name)?;
    let (_, kind) = SYSTEM_TIME.iter().find(|(known, _)| *known == name)?;
    match build::arguments(call)?[..] {
        [time] => Some(SystemTime { time, kind: *kind }),
        _ => None,
    }
}

/// Brings the joins of a relation into canonical form.
pub(super) fn rewrite(from: &mut TableWithJoins) {
    from.joins.iter_mut().for_each(read_version);
    let all = from.joins.len();
    nest(from, all);
}

/// The same for a relation in parentheses, whose last join may stay what it is.
pub(super) fn rewrite_nested(factor: &mut TableFactor) {
    let TableFactor::NestedJoin { table_with_joins: from, .. } = factor else { return };
    from.joins.iter_mut().for_each(read_version);
    let before_last = from.joins.len().saturating_sub(1);
    let last = if from.joins.last().is_some_and(is_asof) { before_last } else { from.joins.len() };
    nest(from, last);
}

fn is_asof(join: &Join) -> bool {
    matches!(join.join_operator, JoinOperator::AsOf { .. })
}

/// Puts the relation up to the last ASOF JOIN among so many joins into parentheses.
fn nest(from: &mut TableWithJoins, among: usize) {
    let Some(last) = from.joins[..among].iter().rposition(is_asof) else { return };
    let behind = from.joins.split_off(last + 1);
    let before = std::mem::replace(&mut from.joins, behind);
    let nothing = build::table(ObjectName(vec![]), None, None);
    let relation = std::mem::replace(&mut from.relation, nothing);
    let nested = TableWithJoins { relation, joins: before };
    from.relation = TableFactor::NestedJoin { table_with_joins: Box::new(nested), alias: None };
}

/// A join with a version of a table as an ASOF JOIN.
fn read_version(join: &mut Join) {
    let TableFactor::Table { version, .. } = &mut join.relation else { return };
    let Some(TableVersion::ForSystemTimeAsOf(time)) = version else { return };
    let (kind, constraint) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinType::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinType::Left, constraint),
        // What is left has no such form, and is refused for its version.
        _ => return,
    };
    let Some((name, _)) = SYSTEM_TIME.iter().find(|(_, of)| *of == kind) else { return };
    let constraint = constraint.clone();
    let match_condition = build::call(name, vec![time.clone()], None);
    *version = None;
    join.join_operator = JoinOperator::AsOf { match_condition, constraint };
}

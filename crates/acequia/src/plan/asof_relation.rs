//! Plans ASOF JOIN, and JOIN with FOR SYSTEM_TIME AS OF, as the SQL front end leaves them: as the last join of a relation
//! in parentheses.
//!
//! | `l JOIN r FOR SYSTEM_TIME AS OF time ON ..`, `r` is | the time is | the join is |
//! |---|---|---|
//! | a stream with an event time | a column of `l` | ASOF JOIN by the event time: the version of `r` at that time |
//! | static | now(), PROCTIME() or a column that is | plain: `r` as it is |
//! | anything else | | refused |

use super::build::is_streaming;
use super::views::reads_view;
use crate::error::into_datafusion;
use crate::functions::{AsofJoin, is_batch_time, own_event_time};
use crate::sql::{SystemTime, system_time};
use acequia_core::Error;
use datafusion::common::{Column, DataFusionError, JoinType, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

/// See the [module](self).
#[derive(Debug)]
pub struct AsofRelations;

impl RelationPlanner for AsofRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some((last, before)) = table_with_joins.joins.split_last() else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let JoinOperator::AsOf { match_condition, constraint } = &last.join_operator else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let left = context.plan(left_of(table_with_joins, before))?;
        let right = context.plan(last.relation.clone())?;
        let constraint = Constraint::of(constraint, &left, &right, context)?;
        let plan = match system_time(match_condition) {
            Some(at) => at_system_time(left, right, at, constraint, context)?,
            None => {
                let names = left.schema().join(right.schema())?;
                let condition = context.sql_to_expr(match_condition.clone(), &names)?;
                constraint.asof(left, right, condition, JoinType::Left)?
            }
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

/// What stands before the last join.
fn left_of(relation: &TableWithJoins, before: &[ast::Join]) -> TableFactor {
    if before.is_empty() {
        return relation.relation.clone();
    }
    let before = TableWithJoins { relation: relation.relation.clone(), joins: before.to_vec() };
    TableFactor::NestedJoin { table_with_joins: Box::new(before), alias: None }
}

/// What must be equal.
enum Constraint {
    On(Option<Expr>),
    /// Columns of both sides, of which the left one comes out.
    Using(Vec<Column>),
}

impl Constraint {
    fn of(
        constraint: &JoinConstraint,
        left: &LogicalPlan,
        right: &LogicalPlan,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Self> {
        match constraint {
            JoinConstraint::None => Ok(Self::On(None)),
            JoinConstraint::On(expr) => {
                let names = left.schema().join(right.schema())?;
                Ok(Self::On(Some(context.sql_to_expr(expr.clone(), &names)?)))
            }
            JoinConstraint::Using(names) => {
                let column = |name: &ast::ObjectName| match name.0.as_slice() {
                    [part] => part.as_ident().map(|ident| context.normalize_ident(ident.clone())),
                    _ => None,
                };
                let columns: Option<Vec<String>> = names.iter().map(column).collect();
                let columns =
                    columns.ok_or_else(|| refused("USING takes names of columns; write USING (k)"))?;
                Ok(Self::Using(columns.into_iter().map(Column::from_name).collect()))
            }
            JoinConstraint::Natural => {
                Err(refused("NATURAL JOIN with FOR SYSTEM_TIME AS OF is not supported; write USING (k)"))
            }
        }
    }

    fn asof(
        self,
        left: LogicalPlan,
        right: LogicalPlan,
        condition: Expr,
        kind: JoinType,
    ) -> Result<LogicalPlan> {
        let (on, hidden) = match self {
            Self::On(on) => (on, vec![]),
            Self::Using(columns) => {
                let mut on: Option<Expr> = None;
                let mut hidden = vec![];
                for column in columns {
                    let [l, r] = [&left, &right].map(|side| of_side(side, &column));
                    let (l, r) = (l?, r?);
                    let equal = Expr::Column(l).eq(Expr::Column(r.clone()));
                    on = Some(on.map_or_else(|| equal.clone(), |on| on.and(equal.clone())));
                    hidden.push(r);
                }
                (on, hidden)
            }
        };
        let plan = AsofJoin::try_new(left, right, condition, on, kind)?.into_plan();
        if hidden.is_empty() {
            return Ok(plan);
        }
        let shown = plan.schema().columns().into_iter().filter(|column| !hidden.contains(column));
        let shown: Vec<Expr> = shown.map(Expr::Column).collect();
        LogicalPlanBuilder::from(plan).project(shown)?.build()
    }

    fn plain(self, left: LogicalPlan, right: LogicalPlan, kind: JoinType) -> Result<LogicalPlan> {
        let left = LogicalPlanBuilder::from(left);
        match self {
            Self::On(on) => left.join_on(right, kind, on)?.build(),
            Self::Using(columns) => left.join_using(right, kind, columns)?.build(),
        }
    }
}

/// The column of this name as a side has it.
fn of_side(side: &LogicalPlan, column: &Column) -> Result<Column> {
    let (qualifier, field) = side.schema().qualified_field_with_unqualified_name(&column.name)?;
    Ok(Column::from((qualifier, field)))
}

/// The right side as it was at a time.
fn at_system_time(
    left: LogicalPlan,
    right: LogicalPlan,
    at: SystemTime<'_>,
    constraint: Constraint,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let SystemTime { time, kind } = at;
    let time = context.sql_to_expr(time.clone(), left.schema())?;
    if is_streaming(&right) || reads_view(&right) {
        if is_batch_time(&time, &left) || time.column_refs().is_empty() {
            return Err(refused(
                "FOR SYSTEM_TIME AS OF over a stream takes an event time of the left side, as l.ts; by now() or PROCTIME() every split into batches would give another answer",
            ));
        }
        let usage = "WATERMARK FOR ts in the stream that is joined FOR SYSTEM_TIME AS OF, or use ASOF JOIN";
        let version = own_event_time(&right, usage)?;
        return constraint.asof(left, right, time.gt_eq(version), kind);
    }
    if is_batch_time(&time, &left) {
        return constraint.plain(left, right, kind);
    }
    Err(refused(
        "a table has no versions, only a stream with a WATERMARK has; to read the table as it is write FOR SYSTEM_TIME AS OF now(), or leave it out",
    ))
}

fn refused(message: &str) -> DataFusionError {
    into_datafusion(Error::unsupported(message))
}

//! Relations that are computed anew over the partitions whose rows changed: the way of every operator that has no
//! formula of its own, and what others are compared with.
//!
//! The input's island gives the rows, with the expressions by which they are partitioned and ordered as columns of their
//! own; the relation reads these rows from a slot, in that order, so that nothing in it sorts them again.

use super::build::{Builder, Change, Part, leaf, reads, times_of, weight_of};
use super::fingerprint;
use super::in_order::time_of_order;
use super::node::{Island, Node, OperatorNode};
use super::relation::IslandRelation;
use super::reset::IslandTemplate;
use super::time_key::time_key;
use super::{Slot, explain, refuse, running};
use crate::error::from_datafusion;
use crate::exec::{Emit, Gives, Number, PartitionsOperator, PartitionsSpec, Running, See, TimeKey};
use crate::functions::lineage::time_of;
use crate::functions::{TimeColumn, is_volatile};

use acequia_core::{OutputMode, Result};
use arrow::compute::SortOptions;
use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SortExpr, lit};
use std::collections::HashMap;
use std::sync::Arc;

/// A relation, and what it is computed over.
pub(super) struct Recomputed<'a> {
    /// Its operator's name.
    pub(super) name: &'static str,
    /// The node whose output it is.
    pub(super) plan: &'a LogicalPlan,
    /// The node below, whose rows are kept.
    pub(super) input: &'a LogicalPlan,
    /// By which rows are told apart; none: they are one partition, which is there also without rows.
    pub(super) partition: Vec<Expr>,
    /// The order in which the relation takes the rows of a partition; ties by all other columns.
    pub(super) order: Vec<SortExpr>,
    /// Which rows decide what it gives.
    pub(super) see: See,
    /// The windows that the operator computes.
    pub(super) running: Vec<Expr>,
}

/// The rows of a part with more columns: those that stand for expressions.
pub(super) struct Rows {
    /// A plan that gives them.
    pub(super) plan: LogicalPlan,
    /// How many columns the part itself has.
    own: usize,
    computed: Vec<(Expr, Column)>,
}

impl Rows {
    /// A part's rows with these expressions; there is at least one column.
    pub(super) fn of(part: LogicalPlan, weighted: bool, exprs: &[&Expr]) -> Result<Self> {
        let mut columns: Vec<Expr> = part.schema().columns().into_iter().map(Expr::Column).collect();
        if weighted {
            columns.pop();
        }
        let own = columns.len();
        let mut computed: Vec<(Expr, Column)> = Vec::new();
        for expr in exprs {
            let known = matches!(expr, Expr::Column(_)) || computed.iter().any(|(e, _)| e == *expr);
            if !known {
                let name = format!("__computed_{}", computed.len());
                columns.push((*expr).clone().alias(&name));
                computed.push(((*expr).clone(), Column::new_unqualified(name)));
            }
        }
        if columns.is_empty() {
            columns.push(lit(true).alias("__row"));
        }
        let plan = Projection::try_new(columns, Arc::new(part)).map_err(from_datafusion)?;
        Ok(Self { plan: LogicalPlan::Projection(plan), own, computed })
    }

    /// How many columns the part itself has: the first ones.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// The columns as an island gives them, without the weight.
    pub(super) fn schema_in(&self, island: &IslandTemplate) -> Result<SchemaRef> {
        let columns: Vec<usize> = (0..self.names().fields().len()).collect();
        Ok(Arc::new(island.plan().schema().project(&columns)?))
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &DFSchemaRef {
        self.plan.schema()
    }

    /// The names of the columns with those of windows that are columns, too.
    fn with_running(&mut self, windows: &[Expr], columns: &[Running]) -> Result<DFSchema> {
        let named = |(at, column): (usize, &Running)| {
            let field = column.field.as_ref().clone().with_name(format!("__running_{at}"));
            (None, Arc::new(field))
        };
        let columns: Vec<(Option<TableReference>, FieldRef)> =
            columns.iter().enumerate().map(named).collect();
        let standing = columns.iter().map(|(_, field)| Column::new_unqualified(field.name()));
        self.computed.extend(windows.iter().cloned().zip(standing));
        let own = self.names().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        DFSchema::new_with_metadata(own.chain(columns).collect(), HashMap::new()).map_err(from_datafusion)
    }

    /// The same rows, each with its weight where they are taken back.
    pub(super) fn weighted(&self, retracting: bool) -> Result<LogicalPlan> {
        let LogicalPlan::Projection(rows) = &self.plan else { return Ok(self.plan.clone()) };
        if !retracting {
            return Ok(self.plan.clone());
        }
        let mut exprs = rows.expr.clone();
        exprs.push(weight_of(&rows.input));
        let plan = Projection::try_new(exprs, Arc::clone(&rows.input)).map_err(from_datafusion)?;
        Ok(LogicalPlan::Projection(plan))
    }

    /// The expression, with columns for what is computed already.
    pub(super) fn rewritten(&self, expr: Expr) -> Result<Expr> {
        let rewritten = expr.transform_down(|e| {
            let computed = self.computed.iter().find(|(expr, _)| *expr == e);
            Ok(match computed {
                Some((_, column)) => Transformed::yes(Expr::Column(column.clone())),
                None => Transformed::no(e),
            })
        });
        rewritten.map(|t| t.data).map_err(from_datafusion)
    }

    /// The place of an expression's column.
    pub(super) fn index(&self, expr: &Expr) -> Result<usize> {
        let Expr::Column(column) = self.rewritten(expr.clone())? else {
            return Err(refuse::expression(expr));
        };
        self.names().index_of_column(&column).map_err(from_datafusion)
    }

    /// A plan over these rows, without the columns that stand for expressions.
    pub(super) fn without_computed(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let all = self.names().fields().len();
        let kept = (0..plan.schema().fields().len()).filter(|column| *column < self.own || *column >= all);
        let column = |index| Expr::Column(Column::from(plan.schema().qualified_field(index)));
        let exprs = kept.map(column).collect();
        let plan = Projection::try_new(exprs, Arc::new(plan)).map_err(from_datafusion)?;
        Ok(LogicalPlan::Projection(plan))
    }
}

/// An operator over the partitions of a part that is still without what it gives.
struct Partitioned {
    template: Arc<IslandTemplate>,
    inputs: Vec<(Arc<Slot>, Node)>,
    spec: PartitionsSpec,
}

impl Partitioned {
    fn node(self, of: &Recomputed<'_>, gives: Gives) -> Result<OperatorNode> {
        let Self { template, inputs, spec } = self;
        let time = spec.time.as_ref().map(|time| spec.schema.field(time.column).name().as_str());
        let description = explain::recomputed(of, &spec, time);
        let fingerprint = format!("{} {}", fingerprint::recomputed(of), fingerprint::emission(spec.emit));
        Ok(OperatorNode {
            id: spec.operator,
            name: of.name,
            fingerprint,
            description,
            operator: Box::new(PartitionsOperator::try_new(spec, gives)?),
            inputs: vec![Island { template, inputs }],
        })
    }

    fn change(&self) -> Change {
        if self.spec.emit == Emit::Final { Change::InsertOnly } else { Change::Retracting }
    }
}

impl Builder<'_> {
    /// The relation over a part, as changes, or, in `APPEND`, each partition once it is final.
    pub(super) async fn recompute(
        &mut self,
        input: Part,
        of: Recomputed<'_>,
        relation: impl FnOnce(&Rows) -> Result<LogicalPlan> + Send,
    ) -> Result<Part> {
        let (mut rows, over) = self.partitioned(input, &of).await?;
        let (schema, order) = (over.spec.seen(), over.spec.order.clone());
        let names = rows.with_running(&of.running, &over.spec.running)?;
        let (plan, slot) = leaf(&names, format!("__rows_{}", of.name), &schema, order)?;
        rows.plan = plan;
        let relation = self.template(&relation(&rows)?).await?;
        let change = over.change();
        let node = over.node(&of, Gives::Relation(Box::new(IslandRelation::new(relation, slot))))?;
        reads(of.plan.schema(), node, change)
    }

    /// The first rows of the partitions of an insert-only part with these numbers, in columns of this plan over the rows.
    pub(super) async fn numbered(
        &mut self,
        input: Part,
        of: Recomputed<'_>,
        numbers: Vec<Number>,
        numbered: impl FnOnce(&Rows) -> Result<LogicalPlan> + Send,
    ) -> Result<Part> {
        let (rows, over) = self.partitioned(input, &of).await?;
        let names = numbered(&rows)?;
        let change = over.change();
        let part = reads(names.schema(), over.node(&of, Gives::Numbers(numbers))?, change)?;
        Ok(Part { plan: rows.without_computed(part.plan)?, ..part })
    }

    async fn partitioned(&mut self, input: Part, of: &Recomputed<'_>) -> Result<(Rows, Partitioned)> {
        let Life { emit, time, held_by } = self.partition_life(of, input.change)?;
        let in_order = held_by.is_some();
        let input = match held_by {
            Some(time) => self.held(input, of.input, time).await?,
            None => input,
        };
        let retracting = input.change == Change::Retracting;
        let order_exprs = of.order.iter().map(|sort| &sort.expr);
        let exprs: Vec<&Expr> = of.partition.iter().chain(order_exprs).collect();
        let rows = Rows::of(input.plan, retracting, &exprs)?;
        let partition = of.partition.iter().map(|expr| rows.index(expr)).collect::<Result<Vec<_>>>()?;
        let order = order_of(&rows, &partition, &of.order)?;
        let template = self.template(&rows.weighted(retracting)?).await?;
        let schema = rows.schema_in(&template)?;
        let time = time.map(|time| TimeKey { column: partition[time.column], ..time });
        let operator = self.next_id();
        let running = of.running.iter().map(|expr| running::column(expr, of.input, &rows));
        let running = running.collect::<Result<Vec<_>>>()?;
        let spec = PartitionsSpec {
            operator,
            schema,
            partition,
            order,
            retracting,
            time,
            emit,
            in_order,
            see: of.see,
            running,
        };
        Ok((rows, Partitioned { template, inputs: input.inputs, spec }))
    }

    fn partition_life(&self, of: &Recomputed<'_>, input: Change) -> Result<Life> {
        let changes = |time| Life { emit: Emit::Changes, time, held_by: None };
        if volatile(of.plan, of.input) {
            return Err(refuse::volatile_over_changes(self.mode));
        }
        if self.mode == OutputMode::Complete {
            return Ok(changes(None));
        }
        let times = times_of(of.input)?;
        let time = |expr: &Expr| time_of(expr, of.input.schema(), &times).map_err(from_datafusion);
        let times = of.partition.iter().map(time).collect::<Result<Vec<_>>>()?;
        let time = time_key(&times)?;
        if self.mode != OutputMode::Append {
            return Ok(changes(time));
        }
        if time.is_some() {
            return Ok(Life { emit: Emit::Final, time, held_by: None });
        }
        match time_of_order(of)?.filter(|_| input == Change::InsertOnly) {
            Some(held_by) => Ok(Life { emit: Emit::Final, time: None, held_by: Some(held_by) }),
            None => Err(refuse::partitions_never_final(of.plan)),
        }
    }
}

/// When partitions are emitted, and by what they leave.
struct Life {
    emit: Emit,
    /// The column of the partition.
    time: Option<TimeKey>,
    /// The event time by which rows are held, and then come in order.
    held_by: Option<(Expr, TimeColumn)>,
}

/// The order of rows: the columns that tell partitions apart, then those that are asked for.
fn order_of(rows: &Rows, partition: &[usize], order: &[SortExpr]) -> Result<Vec<(usize, SortOptions)>> {
    let mut asked: Vec<(usize, SortOptions)> = Vec::new();
    for sort in order {
        let column = rows.index(&sort.expr)?;
        if asked.iter().all(|(other, _)| *other != column) {
            asked.push((column, SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first }));
        }
    }
    let mut all: Vec<(usize, SortOptions)> = Vec::new();
    for column in partition {
        if all.iter().all(|(other, _)| other != column) {
            let asked = asked.iter().find(|(other, _)| other == column);
            all.push(asked.copied().unwrap_or((*column, SortOptions::default())));
        }
    }
    asked.retain(|(column, _)| !partition.contains(column));
    all.extend(asked);
    Ok(all)
}

/// Whether anything from a node down to one below it gives another value each time.
fn volatile(plan: &LogicalPlan, input: &LogicalPlan) -> bool {
    !std::ptr::eq(plan, input)
        && (plan.expressions().iter().any(is_volatile)
            || plan.inputs().into_iter().any(|below| volatile(below, input)))
}

//! The logical node of ASOF JOIN: every left row with the right row of its key whose time is nearest.
//!
//! ```text
//! l ASOF JOIN r MATCH_CONDITION (l.t >= r.t) ON l.k = r.k      the last r up to l.t       (Snowflake's, a left join)
//!                                  >                           the last r before l.t
//!                                  <=, <                       the first r from l.t on, after l.t
//! ```
//! NULL in key or time matches nothing. Of right rows with one key and one time the one that is greatest by all of its
//! columns counts, in their order and with NULL as the least: so all columns of the right side are always read.
//!
//! It has no physical form of its own: a streaming plan replaces it by its operator, and [`AsofJoin::batch`] gives the
//! plan that it stands for over rows that are all there:
//! ```text
//! r      the greatest of each key and time, with the time of the next one of its key
//! l LEFT JOIN r ON l.k = r.k AND l.t >= r.t AND (r.next IS NULL OR l.t < r.next)
//! ```

use super::batch::{with_column, with_one_zero};
use super::expand::{all_columns, unused_name};
use super::join_time::JoinTimes;
use super::lineage::{TimeColumns, time_of};
use super::{invalid, refuse};
use acequia_core::Error;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchemaRef, JoinConstraint, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::{lead, row_number};
use datafusion::logical_expr::builder::build_join_schema;
use datafusion::logical_expr::expr_rewriter::normalize_col_with_schemas_and_ambiguity_check;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, ExprSchemable, Extension, Join, LogicalPlan, LogicalPlanBuilder,
    Operator, UserDefinedLogicalNodeCore, binary_expr, cast, lit,
};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

const USAGE: &str = "write l ASOF JOIN r MATCH_CONDITION (l.ts >= r.ts) ON l.k = r.k";

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsofJoin {
    inputs: [LogicalPlan; 2],
    /// What must be equal, left and right.
    keys: [Vec<Expr>; 2],
    times: [Expr; 2],
    /// How the left time compares with the right one.
    compared: Operator,
    kind: JoinType,
    schema: DFSchemaRef,
}

impl AsofJoin {
    /// Joins by a comparison of times and by equalities. With [`JoinType::Inner`] left rows without a right row are left
    /// out, with [`JoinType::Left`] they have NULLs.
    ///
    /// # Errors
    /// `Invalid` for conditions of another form, naming them.
    pub fn try_new(
        left: LogicalPlan,
        right: LogicalPlan,
        condition: Expr,
        on: Option<Expr>,
        kind: JoinType,
    ) -> Result<Self> {
        if !matches!(kind, JoinType::Left | JoinType::Inner) {
            return Err(invalid(format!("an ASOF JOIN is a left or an inner one: kind=`{kind}`")));
        }
        let inputs = [left, right];
        let named = |expr: Expr| {
            let schemas = [&[inputs[0].schema().as_ref()][..], &[inputs[1].schema().as_ref()]];
            normalize_col_with_schemas_and_ambiguity_check(expr, &schemas, &[])
        };
        let (condition, on) = (named(condition)?, on.map(named).transpose()?);
        let wrong = |expr: &Expr| {
            invalid(format!(
                "MATCH_CONDITION compares a time of the left side with one of the right side by >=, >, <= or <; {USAGE}: condition=`{expr}`"
            ))
        };
        let Expr::BinaryExpr(BinaryExpr { left: l, op, right: r }) = &condition else {
            return Err(wrong(&condition));
        };
        let (times, swapped) = sides(&inputs, l, r)?.ok_or_else(|| wrong(&condition))?;
        let compared = if swapped { op.swap() } else { Some(*op) };
        let compared = compared.filter(|op| opposite(*op).is_some()).ok_or_else(|| wrong(&condition))?;
        let times = alike(&inputs, times)?;
        let time_type = times[0].get_type(inputs[0].schema())?;
        if !is_time(&time_type) {
            return Err(invalid(format!(
                "MATCH_CONDITION compares times, dates, integers and decimals; cast both sides to one of them: type=`{time_type}`"
            )));
        }
        let mut keys = [Vec::new(), Vec::new()];
        for equality in on.into_iter().flat_map(split_conjunction_owned) {
            let [left, right] = key_pair(&inputs, &equality)?;
            keys[0].push(left);
            keys[1].push(right);
        }
        Self::of_parts(inputs, keys, times, compared, kind)
    }

    fn of_parts(
        inputs: [LogicalPlan; 2],
        keys: [Vec<Expr>; 2],
        times: [Expr; 2],
        compared: Operator,
        kind: JoinType,
    ) -> Result<Self> {
        let schema = Arc::new(build_join_schema(inputs[0].schema(), inputs[1].schema(), &kind)?);
        Ok(Self { inputs, keys, times, compared, kind, schema })
    }

    /// The node as a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node behind a plan, when it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        super::node_of(plan)
    }

    /// What is joined, left and right.
    pub fn sides(&self) -> &[LogicalPlan; 2] {
        &self.inputs
    }

    /// What must be equal, left and right, of the same types.
    pub fn keys(&self) -> &[Vec<Expr>; 2] {
        &self.keys
    }

    /// What is compared, left and right, of the same type.
    pub fn times(&self) -> &[Expr; 2] {
        &self.times
    }

    /// How the left time compares with the right one: >=, >, <= or <.
    pub fn compared(&self) -> Operator {
        self.compared
    }

    /// Whether left rows without a right row come out.
    pub fn keeps_unmatched(&self) -> bool {
        self.kind == JoinType::Left
    }

    /// The event times that are compared, where right rows are never later than left ones and watermarks bound both:
    /// left rows below both bounds then stand.
    ///
    /// # Errors
    /// When a column does not resolve.
    pub fn bounding_times(&self, left: &TimeColumns, right: &TimeColumns) -> Result<Option<JoinTimes>> {
        if !matches!(self.compared, Operator::GtEq | Operator::Gt) {
            return Ok(None);
        }
        let [l, r] = &self.times;
        let times = [time_of(l, self.inputs[0].schema(), left)?, time_of(r, self.inputs[1].schema(), right)?];
        let [Some(l_time), Some(r_time)] = times else { return Ok(None) };
        Ok(JoinTimes::following([l.clone(), r.clone()], [l_time, r_time]))
    }

    /// The plan that the node stands for over rows that are all there.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses the plan.
    pub fn batch(&self) -> Result<LogicalPlan> {
        let [left, right] = self.inputs.clone();
        self.batch_over(left, right)
    }

    /// The same over other inputs with the same columns.
    ///
    /// # Errors
    /// As [`AsofJoin::batch`].
    pub fn batch_over(&self, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
        let both = self.clone().into_plan();
        let name = |wanted: &str| unused_name(&both, wanted);
        let own = all_columns(&right);
        let (mut computed, mut keys) = (own.clone(), Vec::new());
        for (n, key) in self.keys[1].iter().enumerate() {
            let name = name(&format!("__asof_key_{n}"));
            computed.push(key.clone().alias(&name));
            keys.push(Expr::Column(Column::from_name(name)));
        }
        let time_name = name("__asof_time");
        computed.push(self.times[1].clone().alias(&time_name));
        let time = Expr::Column(Column::from_name(time_name));
        let known = keys.iter().chain([&time]).cloned().map(Expr::is_not_null).reduce(Expr::and);
        let rows = LogicalPlanBuilder::from(right).project(computed)?;
        let rows = rows.filter(known.unwrap_or_else(|| lit(true)))?.build()?;

        let copy = name("__asof_copy");
        let of_place = keys.iter().chain([&time]).cloned().collect();
        let greatest = own.iter().map(|column| column.clone().sort(false, false)).collect();
        let number = row_number().partition_by(of_place).order_by(greatest).build()?;
        let rows = with_column(rows, number.alias(&copy))?;
        let one = Expr::Column(Column::from_name(copy)).eq(lit(1_u64));
        let rows = LogicalPlanBuilder::from(rows).filter(one)?.build()?;

        let next_name = name("__asof_next");
        let forward = matches!(self.compared, Operator::GtEq | Operator::Gt);
        let order = vec![time.clone().sort(forward, false)];
        let next = lead(time.clone(), Some(1), None).partition_by(keys.clone()).order_by(order).build()?;
        let rows = with_column(rows, next.alias(&next_name))?;
        let next = Expr::Column(Column::from_name(next_name));

        let own_time = &self.times[0];
        let beyond = opposite(self.compared).ok_or_else(|| invalid(USAGE))?;
        let not_beyond = next.clone().is_null().or(binary_expr(own_time.clone(), beyond, next));
        let near = binary_expr(own_time.clone(), self.compared, time).and(not_beyond);
        let output: Vec<Expr> = all_columns(&left).into_iter().chain(own).collect();
        let on = self.keys[0].iter().cloned().zip(keys).collect();
        let equality = NullEquality::NullEqualsNothing;
        let (left, rows) = (Arc::new(left), Arc::new(rows));
        let joined =
            Join::try_new(left, rows, on, Some(near), self.kind, JoinConstraint::On, equality, false)?;
        LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(output)?.build()
    }
}

/// What is true of the nearest row and false of all before it is the opposite for the row behind it.
fn opposite(compared: Operator) -> Option<Operator> {
    match compared {
        Operator::GtEq => Some(Operator::Lt),
        Operator::Gt => Some(Operator::LtEq),
        Operator::LtEq => Some(Operator::Gt),
        Operator::Lt => Some(Operator::GtEq),
        _ => None,
    }
}

/// A type whose values have one order and one width.
fn is_time(data_type: &DataType) -> bool {
    use DataType::*;
    data_type.is_integer()
        || data_type.is_decimal()
        || matches!(data_type, Timestamp(_, _) | Date32 | Date64 | Time32(_) | Time64(_))
}

/// The expression of the left side, then that of the right side, and whether they came the other way round; nothing
/// when they are not of one side each.
fn sides(inputs: &[LogicalPlan; 2], a: &Expr, b: &Expr) -> Result<Option<([Expr; 2], bool)>> {
    for expr in [a, b] {
        let inside = |e: &Expr| {
            Ok(matches!(
                e,
                Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(_, _)
            ))
        };
        if expr.exists(inside)? {
            return Err(refuse(Error::unsupported(format!(
                "a subquery in a condition of an ASOF JOIN is not supported; compute it in a subquery below the join: condition=`{expr}`"
            ))));
        }
    }
    let of = |expr: &Expr, side: usize| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.iter().all(|column| inputs[side].schema().has_column(column))
    };
    Ok(match (of(a, 0) && of(b, 1), of(b, 0) && of(a, 1)) {
        (true, _) => Some(([a.clone(), b.clone()], false)),
        (_, true) => Some(([b.clone(), a.clone()], true)),
        _ => None,
    })
}

/// Both as one type, as their comparison would have them.
fn alike(inputs: &[LogicalPlan; 2], exprs: [Expr; 2]) -> Result<[Expr; 2]> {
    let [left, right] = exprs;
    let types = [left.get_type(inputs[0].schema())?, right.get_type(inputs[1].schema())?];
    let common = comparison_coercion(&types[0], &types[1]).ok_or_else(|| {
        invalid(format!(
            "values of these types cannot be compared; cast one of them: types=`{}`, `{}`",
            types[0], types[1]
        ))
    })?;
    let as_common =
        |expr: Expr, own: &DataType| if *own == common { expr } else { cast(expr, common.clone()) };
    Ok([as_common(left, &types[0]), as_common(right, &types[1])])
}

/// The two sides of an equality.
fn key_pair(inputs: &[LogicalPlan; 2], equality: &Expr) -> Result<[Expr; 2]> {
    let wrong = || {
        invalid(format!(
            "ON of an ASOF JOIN takes equalities of the two sides, joined by AND; filter in a subquery below the join, or in WHERE: condition=`{equality}`"
        ))
    };
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = equality else {
        return Err(wrong());
    };
    let (pair, _) = sides(inputs, left, right)?.ok_or_else(wrong)?;
    let [left, right] = alike(inputs, pair)?;
    let key_type = left.get_type(inputs[0].schema())?;
    if key_type.is_nested() {
        return Err(invalid(format!(
            "ON of an ASOF JOIN compares no structs, lists and maps; compare their parts: type=`{key_type}`"
        )));
    }
    Ok([with_one_zero(left, &inputs[0])?, with_one_zero(right, &inputs[1])?])
}

impl Hash for AsofJoin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inputs.hash(state);
        self.expressions().hash(state);
        (self.compared, self.kind).hash(state);
    }
}

impl PartialOrd for AsofJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let parts = |node: &Self| (node.compared, node.kind);
        match self.inputs.partial_cmp(&other.inputs)? {
            Ordering::Equal => match self.expressions().partial_cmp(&other.expressions())? {
                Ordering::Equal => {
                    parts(self).partial_cmp(&parts(other)).filter(|o| o.is_ne() || self == other)
                }
                unequal => Some(unequal),
            },
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for AsofJoin {
    fn name(&self) -> &str {
        "AsofJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.keys.iter().flatten().chain(&self.times).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let on: Vec<String> =
            self.keys[0].iter().zip(&self.keys[1]).map(|(l, r)| format!("{l} = {r}")).collect();
        let [l, r] = &self.times;
        write!(f, "AsofJoin: {} {l} {} {r} on=[{}]", self.kind, self.compared, on.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let rewritten =
            || refuse(Error::internal(format!("an ASOF join was rewritten to something else: {exprs:?}")));
        let inputs: [LogicalPlan; 2] = inputs.try_into().map_err(|_| rewritten())?;
        let keys = self.keys[0].len();
        if exprs.len() != 2 * keys + 2 {
            return Err(rewritten());
        }
        let exprs: Vec<Expr> = exprs.iter().cloned().map(Expr::unalias).collect();
        let both = [exprs[..keys].to_vec(), exprs[keys..2 * keys].to_vec()];
        let times = [exprs[2 * keys].clone(), exprs[2 * keys + 1].clone()];
        Self::of_parts(inputs, both, times, self.compared, self.kind)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let [left, right] = &self.inputs;
        let width = left.schema().fields().len();
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|column| *column < width).collect();
        for expr in self.keys[0].iter().chain([&self.times[0]]) {
            for column in expr.column_refs() {
                needed.push(left.schema().maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed, (0..right.schema().fields().len()).collect()])
    }
}

//! The batch's time in SQL: `now()`, `current_timestamp`, `current_date`, `current_time`, `localtimestamp`,
//! `PROCTIME()`.
//!
//! DataFusion folds these into a constant when it plans, which is right for a batch query and would freeze a
//! continuous one. [`bind_batch_time`] puts functions in their place that read a cell, which the runtime sets before
//! every micro-batch. They are volatile, so that nothing folds them, and keep type and name.

use super::lineage::time_of;
use super::time_column::{ARGUMENT, TimeColumn, TimeRole};
use acequia_core::Timestamp;
use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use chrono::{Offset, TimeZone};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The time of the micro-batch that runs.
#[derive(Debug, Default)]
pub struct BatchTime {
    micros: AtomicI64,
}

impl BatchTime {
    /// Sets the time, before a micro-batch runs.
    pub fn set(&self, time: Timestamp) {
        self.micros.store(time.0, Ordering::Release);
    }

    /// The time of the micro-batch.
    pub fn get(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::Acquire))
    }
}

/// Functions of the wall clock that DataFusion, or this module, knows by these names; its own aliases lead to them.
const CLOCK_FUNCTIONS: [&str; 5] = ["now", "current_date", "current_time", "localtimestamp", "proctime"];

/// Replaces every call for the current time by one that reads `cell`. `zone` is the session's time zone.
///
/// # Errors
/// `Invalid` for a time zone that is not known.
pub fn bind_batch_time(plan: LogicalPlan, cell: &Arc<BatchTime>, zone: Option<&str>) -> Result<LogicalPlan> {
    replace_calls(plan, zone, &|field, zone| {
        let (cell, signature) = (Arc::clone(cell), Signature::nullary(Volatility::Volatile));
        Ok(ScalarUDF::from(BatchTimeFunction { cell, field, zone, signature }).call(vec![]))
    })
}

/// Replaces every call for the current time by its value at this time: the batch query to compare with.
///
/// # Errors
/// As [`bind_batch_time`].
pub fn fix_batch_time(plan: LogicalPlan, time: Timestamp, zone: Option<&str>) -> Result<LogicalPlan> {
    replace_calls(plan, zone, &|field, zone| {
        Ok(Expr::Literal(value_of(local(time.0, zone), field.data_type())?, None))
    })
}

/// What stands for a call: from its field, and the zone where the local time is asked for.
type Replacement<'a> = &'a dyn Fn(FieldRef, Option<Tz>) -> Result<Expr>;

fn replace_calls(plan: LogicalPlan, zone: Option<&str>, by: Replacement<'_>) -> Result<LogicalPlan> {
    let zone = zone.map(|z| z.parse::<Tz>()).transpose()?;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let preserver = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let saved = preserver.save(&expr);
            Ok(expr.transform_up(|e| replace(e, zone, by))?.update_data(|e| saved.restore(e)))
        })
    })?;
    Ok(rewritten.data)
}

fn replace(expr: Expr, zone: Option<Tz>, by: Replacement<'_>) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
    if !call.args.is_empty() || !CLOCK_FUNCTIONS.contains(&call.func.name()) || is_bound(&call.func) {
        return Ok(Transformed::no(expr));
    }
    let field =
        call.func.return_field_from_args(ReturnFieldArgs { arg_fields: &[], scalar_arguments: &[] })?;
    let local = call.func.name() != "now" && call.func.name() != "proctime";
    Ok(Transformed::yes(by(field, zone.filter(|_| local))?))
}

/// Whether an expression over the columns of a plan is the batch's time: `now()`, `PROCTIME()`, or a column that is.
pub fn is_batch_time(expr: &Expr, plan: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => is_batch_time(&alias.expr, plan),
        Expr::Cast(cast) => is_batch_time(&cast.expr, plan),
        Expr::ScalarFunction(call) => call.args.is_empty() && matches!(call.func.name(), "now" | "proctime"),
        Expr::Column(column) => match (plan, plan.schema().maybe_index_of_column(column)) {
            (LogicalPlan::Projection(node), Some(index)) => is_batch_time(&node.expr[index], &node.input),
            (LogicalPlan::SubqueryAlias(node), Some(index)) => {
                let below = Column::from(node.input.schema().qualified_field(index));
                is_batch_time(&Expr::Column(below), &node.input)
            }
            (LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::Extension(_), Some(_)) => {
                let inputs = plan.inputs();
                let of = inputs.into_iter().find(|input| input.schema().has_column(column));
                of.is_some_and(|input| is_batch_time(expr, input))
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_bound(function: &ScalarUDF) -> bool {
    function.inner().is::<BatchTimeFunction>()
}

/// Whether an expression asks for the batch's time, bound to a cell or not yet.
pub fn reads_batch_time(expr: &Expr) -> bool {
    let found = expr.exists(|e| {
        Ok(matches!(e, Expr::ScalarFunction(call) if is_bound(&call.func)
            || (call.args.is_empty() && CLOCK_FUNCTIONS.contains(&call.func.name()))))
    });
    found.unwrap_or(true)
}

/// The expression with every reading of the batch's time from this cell.
///
/// # Errors
/// None of its own.
pub fn read_from(expr: Expr, cell: &Arc<BatchTime>) -> Result<Expr> {
    let rewritten = expr.transform_up(|e| match &e {
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<BatchTimeFunction>() {
            Some(function) => {
                let function = BatchTimeFunction { cell: Arc::clone(cell), ..function.clone() };
                Ok(Transformed::yes(ScalarUDF::from(function).call(vec![])))
            }
            None => Ok(Transformed::no(e)),
        },
        _ => Ok(Transformed::no(e)),
    });
    rewritten.map(|t| t.data)
}

/// Whether an expression reads the batch's time and no column, and never goes back while time goes on. Those functions
/// of time are known of which [`lineage`](super::lineage) knows it.
///
/// # Errors
/// When its type cannot be found.
pub fn follows_batch_time(expr: &Expr) -> Result<bool> {
    let (mut known, mut goes_on) = (None::<FieldRef>, true);
    let argument = Expr::Column(Column::from_name(ARGUMENT));
    let replaced = expr.clone().transform_up(|e| {
        let Expr::ScalarFunction(call) = &e else { return Ok(Transformed::no(e)) };
        let Some(function) = call.func.inner().downcast_ref::<BatchTimeFunction>() else {
            return Ok(Transformed::no(e));
        };
        let first = known.get_or_insert_with(|| Arc::clone(&function.field));
        goes_on &= first == &function.field && function.zone.is_none();
        Ok(Transformed::yes(argument.clone()))
    })?;
    let Some(field) = known.filter(|_| goes_on && expr.column_refs().is_empty()) else { return Ok(false) };
    let data_type = field.data_type().clone();
    if !matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32) {
        return Ok(false);
    }
    let schema = Schema::new(vec![Field::new(ARGUMENT, data_type.clone(), false)]);
    let time = TimeColumn { role: TimeRole::EventTime, ..TimeColumn::unmarked(data_type) };
    let time = time_of(&replaced.data, &DFSchema::try_from(schema)?, &vec![Some(time)])?;
    Ok(time.is_some_and(|time| time.is_ordered()))
}

/// A function of the batch's time.
#[derive(Debug, Clone)]
pub struct BatchTimeFunction {
    cell: Arc<BatchTime>,
    field: FieldRef,
    /// Set where the local time is asked for.
    zone: Option<Tz>,
    signature: Signature,
}

impl PartialEq for BatchTimeFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell) && self.field == other.field
    }
}

impl Eq for BatchTimeFunction {}

impl Hash for BatchTimeFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.field.hash(state);
    }
}

impl ScalarUDFImpl for BatchTimeFunction {
    fn name(&self) -> &str {
        self.field.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let micros = local(self.cell.get().0, self.zone);
        Ok(ColumnarValue::Scalar(value_of(micros, self.field.data_type())?))
    }
}

/// The wall clock's reading in a zone, as if it were UTC.
fn local(micros: i64, zone: Option<Tz>) -> i64 {
    let Some(zone) = zone else { return micros };
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(utc) => {
            let offset = zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
            micros.saturating_add(i64::from(offset) * 1_000_000)
        }
        None => micros,
    }
}

const DAY: i64 = 86_400_000_000;

fn value_of(micros: i64, data_type: &DataType) -> Result<ScalarValue> {
    let out_of_range = || {
        super::refuse(acequia_core::Error::data(format!(
            "batch time does not fit its type: {micros} us as {data_type}"
        )))
    };
    Ok(match data_type {
        DataType::Timestamp(unit, zone) => {
            let native = match unit {
                TimeUnit::Nanosecond => micros.checked_mul(1_000).ok_or_else(out_of_range)?,
                TimeUnit::Microsecond => micros,
                TimeUnit::Millisecond => micros.div_euclid(1_000),
                TimeUnit::Second => micros.div_euclid(1_000_000),
            };
            ScalarValue::Int64(Some(native)).cast_to(&DataType::Timestamp(*unit, zone.clone()))?
        }
        DataType::Date32 => {
            ScalarValue::Date32(Some(i32::try_from(micros.div_euclid(DAY)).map_err(|_| out_of_range())?))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            ScalarValue::Time64Nanosecond(Some(micros.rem_euclid(DAY) * 1_000))
        }
        _ => return Err(out_of_range()),
    })
}

/// `PROCTIME()` and `localtimestamp` outside of streams: the time at which the query started.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueryTime {
    name: &'static str,
    unit: TimeUnit,
    local: bool,
    signature: Signature,
}

impl QueryTime {
    /// `PROCTIME()`, as in Flink: milliseconds, without a zone.
    pub fn proctime() -> Self {
        let signature = Signature::nullary(Volatility::Stable);
        Self { name: "proctime", unit: TimeUnit::Millisecond, local: false, signature }
    }

    /// `localtimestamp`, as in SQL: what the clock shows in the session's zone, without a zone.
    pub fn localtimestamp() -> Self {
        let signature = Signature::nullary(Volatility::Stable);
        Self { name: "localtimestamp", unit: TimeUnit::Nanosecond, local: true, signature }
    }
}

impl ScalarUDFImpl for QueryTime {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(self.unit, None))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name, DataType::Timestamp(self.unit, None), false)))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let zone = info.config_options().execution.time_zone.as_deref().filter(|_| self.local);
        let zone = zone.map(|z| z.parse::<Tz>()).transpose()?;
        let value = value_of(local(now.timestamp_micros(), zone), &DataType::Timestamp(self.unit, None))?;
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} is to be replaced when the query is planned", self.name)))
    }
}

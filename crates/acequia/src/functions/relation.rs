//! Table functions in FROM: windows, watermarks, duplicates.
//!
//! The SQL front end spells them canonically, the relation always as a subquery:
//! ```text
//! __tumble((SELECT * FROM t), ts, size [, offset])            adds window_start, window_end, window_time
//! __hop((SELECT * FROM t), ts, slide, size [, offset])        same; a row per window
//! __cumulate((SELECT * FROM t), ts, step, size [, offset])    same; a row per window
//! __session((SELECT * FROM t), ts, gap [, __partition_by(k, ...)])            same; the session of the keys
//! __drop_duplicates((SELECT * FROM t), a, b, ...)                             the first row per key (all columns)
//! __drop_duplicates_within_watermark((SELECT * FROM t), a, b, ...)            same, while the watermark has not passed
//! __with_watermark((SELECT * FROM t), ts, delay [, alias])    marks the event time
//! ```
//! The event time may be left out where the relation has exactly one. Columns keep their qualifiers.

use super::call::{GroupFunction, Kind, event_time, session_gap};
use super::duplicates::DropDuplicates;
use super::expand::{all_columns, own_event_time, unused_name, with_window_column};
use super::interval::constant_micros;
use super::invalid;
use super::session::{SessionScope, session_call};
use super::timestamps::{END, START};
use super::watermark::{EventTimeWatermark, has_watermark};
use super::window_time::WindowTime;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, TableFactor};

/// The columns that a window table function adds.
pub const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// Plans the table functions of this module; leaves every other relation to the next planner.
#[derive(Debug)]
pub struct WindowTableFunctions;

impl RelationPlanner for WindowTableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, args: Some(args), .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(function) = TableFunction::named(name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = function.plan(&args.args, context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

#[derive(Debug, Clone, Copy)]
enum TableFunction {
    Window(Kind),
    WithWatermark,
    DropDuplicates { within_watermark: bool },
}

impl TableFunction {
    fn named(name: &ast::ObjectName) -> Option<Self> {
        let [part] = name.0.as_slice() else { return None };
        Some(match part.as_ident()?.value.to_ascii_lowercase().as_str() {
            "__tumble" => Self::Window(Kind::Tumble),
            "__hop" => Self::Window(Kind::Hop),
            "__cumulate" => Self::Window(Kind::Cumulate),
            "__session" => Self::Window(Kind::Session),
            "__with_watermark" => Self::WithWatermark,
            "__drop_duplicates" => Self::DropDuplicates { within_watermark: false },
            "__drop_duplicates_within_watermark" => Self::DropDuplicates { within_watermark: true },
            _ => return None,
        })
    }

    fn usage(self) -> &'static str {
        match self {
            Self::Window(Kind::Hop) => "HOP(TABLE t, DESCRIPTOR(ts), slide, size)",
            Self::Window(Kind::Cumulate) => "CUMULATE(TABLE t, DESCRIPTOR(ts), step, size)",
            Self::Window(Kind::Session) => "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), gap)",
            Self::Window(_) => "TUMBLE(TABLE t, DESCRIPTOR(ts), size)",
            Self::DropDuplicates { within_watermark: false } => "drop_duplicates(TABLE t, DESCRIPTOR(a, b))",
            Self::DropDuplicates { .. } => "drop_duplicates_within_watermark(TABLE t, DESCRIPTOR(a, b))",
            Self::WithWatermark => "FROM t WATERMARK ts DELAY OF INTERVAL 10 SECONDS",
        }
    }

    fn plan(self, args: &[FunctionArg], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let mut args = args.iter().map(|arg| self.expression(arg)).collect::<Result<Vec<_>>>()?.into_iter();
        let relation = args.next().ok_or_else(|| self.wrong())?;
        let input = context.plan(self.derived(relation)?)?;
        let args: Vec<ast::Expr> = args.collect();
        match self {
            Self::Window(kind) => self.plan_windows(kind, input, args, context),
            Self::WithWatermark => self.plan_watermark(input, args, context),
            Self::DropDuplicates { within_watermark } => {
                self.plan_duplicates(within_watermark, input, args, context)
            }
        }
    }

    fn plan_windows(
        self,
        kind: Kind,
        input: LogicalPlan,
        args: Vec<ast::Expr>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let (args, keys) = self.split_keys(args)?;
        let args = expressions(args, &input, context)?;
        let keys = expressions(keys, &input, context)?;
        if args.is_empty() || (kind == Kind::Session && args.len() > 2) {
            return Err(self.wrong());
        }
        let own_time = || own_event_time(&input, self.usage());
        let call = match kind {
            Kind::Session => partitioned_session(&args, &keys, input.schema(), own_time)?,
            _ => GroupFunction::new(kind).bind(&args, input.schema(), own_time)?,
        };
        add_window_columns(input, call)
    }

    fn plan_watermark(
        self,
        input: LogicalPlan,
        args: Vec<ast::Expr>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let (time, delay, alias) = match args.as_slice() {
            [time, delay] => (time, delay, None),
            [time, delay, alias] => (time, delay, Some(self.alias(alias, context)?)),
            _ => return Err(self.wrong()),
        };
        let time = context.sql_to_expr(time.clone(), input.schema())?;
        let delay = context.sql_to_expr(delay.clone(), input.schema())?;
        with_watermark(input, time, constant_micros(&delay, "watermark delay")?, alias)
    }

    fn plan_duplicates(
        self,
        within_watermark: bool,
        input: LogicalPlan,
        args: Vec<ast::Expr>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let column = |expr: Expr| expr.try_as_col().cloned().ok_or_else(|| self.wrong());
        let columns =
            expressions(args, &input, context)?.into_iter().map(column).collect::<Result<Vec<_>>>()?;
        let within = match within_watermark {
            true => Some(column(own_event_time(&input, "WATERMARK FOR ts in the stream")?)?),
            false => None,
        };
        Ok(DropDuplicates::try_new(input, columns, within)?.into_plan())
    }

    /// Takes the keys of a trailing `__partition_by(k, ...)` off the arguments.
    fn split_keys(self, mut args: Vec<ast::Expr>) -> Result<(Vec<ast::Expr>, Vec<ast::Expr>)> {
        let Some(ast::Expr::Function(call)) = args.last() else { return Ok((args, vec![])) };
        if !call.name.to_string().eq_ignore_ascii_case("__partition_by") {
            return Ok((args, vec![]));
        }
        let ast::FunctionArguments::List(list) = &call.args else { return Err(self.wrong()) };
        let keys = list.args.iter().map(|arg| self.expression(arg)).collect::<Result<Vec<_>>>()?;
        args.pop();
        Ok((args, keys))
    }

    fn alias(self, expr: &ast::Expr, context: &dyn RelationPlannerContext) -> Result<String> {
        match expr {
            ast::Expr::Identifier(ident) => Ok(context.normalize_ident(ident.clone())),
            _ => Err(self.wrong()),
        }
    }

    fn expression(self, arg: &FunctionArg) -> Result<ast::Expr> {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
            _ => Err(self.wrong()),
        }
    }

    fn derived(self, relation: ast::Expr) -> Result<TableFactor> {
        match relation {
            ast::Expr::Subquery(subquery) => {
                Ok(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
            }
            ast::Expr::Nested(inner) => self.derived(*inner),
            _ => Err(self.wrong()),
        }
    }

    fn wrong(self) -> datafusion::common::DataFusionError {
        invalid(format!("wrong arguments; write {}", self.usage()))
    }
}

fn expressions(
    args: Vec<ast::Expr>,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Expr>> {
    args.into_iter().map(|arg| context.sql_to_expr(arg, input.schema())).collect()
}

/// The session of the rows that agree in `keys`, of all rows without any.
fn partitioned_session(
    args: &[Expr],
    keys: &[Expr],
    schema: &DFSchema,
    own_time: impl FnOnce() -> Result<Expr>,
) -> Result<Expr> {
    let (time, gap) = match args {
        [time, gap] => (time.clone(), gap),
        [gap] => (own_time()?, gap),
        _ => return Err(invalid("wrong number of arguments of SESSION")),
    };
    let (time, time_type) = event_time(time, schema)?;
    session_call(time, &time_type, session_gap(gap, schema)?, SessionScope::Partition, keys)
}

/// `input` in the windows of `call`, with the three columns that say which window.
fn add_window_columns(input: LogicalPlan, call: Expr) -> Result<LogicalPlan> {
    if let Some(taken) =
        WINDOW_COLUMNS.iter().find(|c| input.schema().fields().iter().any(|f| f.name() == *c))
    {
        return Err(invalid(format!(
            "the relation has a column `{taken}` already; rename it, as in (SELECT {taken} AS w, ... FROM ...)"
        )));
    }
    let window = unused_name(&input, "__window");
    let mut exprs = all_columns(&input);
    let plan = with_window_column(input, call, &window)?;
    let window = Expr::Column(Column::from_name(window));
    exprs.push(get_field(window.clone(), START).alias(WINDOW_COLUMNS[0]));
    exprs.push(get_field(window.clone(), END).alias(WINDOW_COLUMNS[1]));
    exprs.push(ScalarUDF::from(WindowTime::default()).call(vec![window]).alias(WINDOW_COLUMNS[2]));
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// Marks an expression over `input` as its event time: a column in place, anything else as a new column `alias`.
/// `delay` is in microseconds.
///
/// # Errors
/// `Invalid` when there is a mark below already, when an expression that is no column has no alias, and as for
/// [`EventTimeWatermark::try_new`].
pub fn with_watermark(
    input: LogicalPlan,
    time: Expr,
    delay: i64,
    alias: Option<String>,
) -> Result<LogicalPlan> {
    if has_watermark(&input) {
        return Err(invalid(
            "the relation has a watermark already; drop one of the two, or keep the stream's own".to_string(),
        ));
    }
    let (input, column) = match (time, alias) {
        (Expr::Column(column), None) => (input, column),
        (time, Some(alias)) => (add_column(input, time, &alias)?, Column::from_name(alias)),
        (time, None) => {
            return Err(invalid(format!(
                "watermark is of an expression without a name: `{time}`; write WATERMARK {time} AS name DELAY OF ..."
            )));
        }
    };
    let id = format!("{}:{}", column.flat_name(), delay);
    Ok(EventTimeWatermark::try_new(input, column, delay, id)?.into_plan())
}

fn add_column(input: LogicalPlan, value: Expr, name: &str) -> Result<LogicalPlan> {
    if input.schema().fields().iter().any(|f| f.name() == name) {
        return Err(invalid(format!("the relation has a column `{name}` already; choose another name")));
    }
    let mut exprs = all_columns(&input);
    exprs.push(value.alias(name));
    LogicalPlanBuilder::from(input).project(exprs)?.build()
}

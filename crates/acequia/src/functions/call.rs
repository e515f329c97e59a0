//! The window functions as SQL writes them: `window`, `tumble`, `hop`, `cumulate`, `session_window`, `session`.
//!
//! They have a type, so that DataFusion can plan around them, and nothing else: [`super::resolve_windows`] reads
//! their constants and puts a bound function in their place. What has not been resolved does not run.

use super::grid::WindowSpec;
use super::interval::{constant, constant_micros, is_length};
use super::invalid;
use super::session::{SessionGap, SessionScope, session_call};
use super::timestamps::{window_time_type, window_type};
use super::window::window_call;
use super::window_time::WindowTime;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Which function it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `window(ts, size [, slide [, start]])`, as in Spark.
    Window,
    /// `tumble(ts, size [, offset])`.
    Tumble,
    /// `hop(ts, slide, size [, offset])`, as in Flink.
    Hop,
    /// `cumulate(ts, step, size [, offset])`.
    Cumulate,
    /// `session_window(ts, gap [, key, ...])`, as in Spark; with keys it is the session of those keys, without it is
    /// that of the other keys of the GROUP BY.
    SessionWindow,
    /// `session(ts, gap)`, as in Flink.
    Session,
}

/// A window function that is not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupFunction {
    kind: Kind,
    signature: Signature,
}

impl GroupFunction {
    /// The function of this kind.
    pub fn new(kind: Kind) -> Self {
        Self { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        Kind::ALL.into_iter().map(Self::new).collect()
    }

    /// The function of an expression, with its arguments, when it is one of these.
    pub fn of(expr: &Expr) -> Option<(&Self, &[Expr])> {
        match expr {
            Expr::ScalarFunction(f) => Some((f.func.inner().downcast_ref::<Self>()?, &f.args)),
            _ => None,
        }
    }

    /// How to write the call.
    pub fn usage_of(&self) -> &'static str {
        self.kind.usage()
    }

    /// The call with its constants bound. `own_time` gives the input's event time where the call leaves it out.
    ///
    /// # Errors
    /// `Invalid` for wrong arguments.
    pub fn bind(
        &self,
        args: &[Expr],
        schema: &DFSchema,
        own_time: impl FnOnce() -> Result<Expr>,
    ) -> Result<Expr> {
        let (time, lengths) = match args.first() {
            Some(first) if !is_length(first, schema) => (first.clone(), &args[1..]),
            _ => (own_time()?, args),
        };
        let (time, time_type) = event_time(time, schema)?;
        match (self.kind, lengths) {
            (Kind::SessionWindow | Kind::Session, [gap, keys @ ..]) => {
                let scope = if keys.is_empty() { SessionScope::GroupKeys } else { SessionScope::Partition };
                session_call(time, &time_type, session_gap(gap, schema)?, scope, keys)
            }
            _ => window_call(self.spec(lengths)?, time, &time_type),
        }
    }

    fn spec(&self, lengths: &[Expr]) -> Result<WindowSpec> {
        let micros = |i: usize, what| lengths.get(i).map(|e| constant_micros(e, what)).transpose();
        match (self.kind, lengths.len()) {
            (Kind::Window, 1..=3) => {
                let size = constant_micros(&lengths[0], "window size")?;
                let slide = micros(1, "window slide")?.unwrap_or(size);
                WindowSpec::hop(slide, size, micros(2, "window offset")?.unwrap_or(0))
            }
            (Kind::Tumble, 1..=2) => {
                let size = constant_micros(&lengths[0], "window size")?;
                WindowSpec::tumble(size, micros(1, "window offset")?.unwrap_or(0))
            }
            (Kind::Hop | Kind::Cumulate, 2..=3) => {
                let cumulates = self.kind == Kind::Cumulate;
                let what = if cumulates { "window step" } else { "window slide" };
                let step = constant_micros(&lengths[0], what)?;
                let size = constant_micros(&lengths[1], "window size")?;
                let offset = micros(2, "window offset")?.unwrap_or(0);
                if cumulates {
                    WindowSpec::cumulate(step, size, offset)
                } else {
                    WindowSpec::hop(step, size, offset)
                }
            }
            _ => Err(self.usage()),
        }
    }

    fn usage(&self) -> DataFusionError {
        invalid(format!("wrong number of arguments; write {}", self.kind.usage()))
    }
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Window, Self::Tumble, Self::Hop, Self::Cumulate, Self::SessionWindow, Self::Session];

    fn usage(self) -> &'static str {
        match self {
            Self::Window => "window(ts, size [, slide [, start]])",
            Self::Tumble => "tumble(ts, size [, offset])",
            Self::Hop => "hop(ts, slide, size [, offset])",
            Self::Cumulate => "cumulate(ts, step, size [, offset])",
            Self::SessionWindow => "session_window(ts, gap)",
            Self::Session => "session(ts, gap)",
        }
    }
}

/// The gap of a session: a constant, or an expression of a type that can be one.
///
/// # Errors
/// `Invalid` for a constant that is no interval, and for any other type.
pub fn session_gap(gap: &Expr, schema: &DFSchema) -> Result<SessionGap> {
    if constant(gap)?.is_some() {
        return constant_micros(gap, "session gap").map(SessionGap::Constant);
    }
    match gap.get_type(schema)? {
        DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => Ok(SessionGap::PerRow(gap.clone())),
        other => Err(invalid(format!(
            "session gap is not an interval: `{gap}` type=`{other}`; write '10 minutes' or give an interval or text"
        ))),
    }
}

/// The instant that a call goes by, and its type: a timestamp, the time of a window, or a date's midnight.
///
/// # Errors
/// `Invalid` for any other type.
pub fn event_time(time: Expr, schema: &DFSchema) -> Result<(Expr, DataType)> {
    let data_type = time.get_type(schema)?;
    if let Some(inner) = window_time_type(&data_type) {
        let inner = inner.clone();
        return Ok((ScalarUDF::from(WindowTime::default()).call(vec![time]), inner));
    }
    match data_type {
        DataType::Timestamp(_, _) => Ok((time, data_type)),
        DataType::Date32 | DataType::Date64 => {
            let midnight = DataType::Timestamp(TimeUnit::Microsecond, None);
            Ok((time.cast_to(&midnight, schema)?, midnight))
        }
        other => Err(invalid(format!(
            "event time is not a timestamp: `{time}` type=`{other}`; cast it, as in CAST(c AS TIMESTAMP(6))"
        ))),
    }
}

/// The type of a call before it is resolved; a call without a time gets its final type when it is.
fn unresolved_type(arg_types: &[DataType]) -> DataType {
    match arg_types.first() {
        Some(time @ DataType::Timestamp(_, _)) => window_type(time),
        Some(window) if window_time_type(window).is_some() => window.clone(),
        _ => window_type(&DataType::Timestamp(TimeUnit::Microsecond, None)),
    }
}

impl ScalarUDFImpl for GroupFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Window => "window",
            Kind::Tumble => "tumble",
            Kind::Hop => "hop",
            Kind::Cumulate => "cumulate",
            Kind::SessionWindow => "session_window",
            Kind::Session => "session",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.is_empty() {
            return Err(self.usage());
        }
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(unresolved_type(arg_types))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(invalid(format!(
            "{} was not resolved; use it in GROUP BY or in a SELECT list of a session that acequia made",
            self.kind.usage()
        )))
    }
}

//! Aggregates kept as plain vectors indexed by group id: count, sum, avg, min, max.
//!
//! Their answers are DataFusion's: integer and decimal sums wrap, avg is the Float64 sum over the count. Sums of
//! floats are added up in the order of arrival, hence do not depend on how rows are split into batches. min and max
//! of floats use the total order: see `functions::extremes`.

use super::valid_rows;
use super::values::Values;
use super::weighted::{is_ordered, is_summed};
use crate::functions::{End, end_of};
use acequia_core::{Error, Result};
use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowNumericType, ArrowPrimitiveType, AsArray, Float64Array,
    Int64Array, PrimitiveArray, UInt64Array, downcast_primitive,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float64Type, Int64Type, TimeUnit,
    UInt64Type,
};
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use std::any::Any;
use std::sync::Arc;

/// The states of one aggregate for all groups of a key table.
pub(super) trait NativeStates: Send {
    /// Makes room for this many groups.
    fn grow(&mut self, groups: usize);
    /// Adds each row that passes the filter to its group.
    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()>;
    /// The results of these groups.
    fn output(&self, ids: &[u32]) -> Result<ArrayRef>;
    /// Appends the state columns of these groups.
    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()>;
    /// How many state columns there are.
    fn width(&self) -> usize {
        1
    }
    /// Sets the state of these groups.
    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()>;
    /// Bytes held.
    fn bytes(&self) -> usize;
    /// The values that it keeps beside its state columns, in a table of their own.
    fn values(&self) -> Option<&Values> {
        None
    }
    /// To put such values back, or take what has changed.
    fn values_mut(&mut self) -> Option<&mut Values> {
        None
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    CountRows,
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

/// An aggregate that has native states.
pub(super) struct NativeFunction {
    kind: Kind,
    data_type: DataType,
}

impl NativeFunction {
    /// The native form of an aggregate, if it has one.
    pub(super) fn of(aggregate: &AggregateFunctionExpr) -> Option<Self> {
        let arguments = aggregate.expressions();
        let kind = kind_of(aggregate)?;
        let data_type = aggregate.field().data_type().clone();
        // DISTINCT changes nothing for min and max.
        let extreme = matches!(kind, Kind::Min | Kind::Max);
        if arguments.len() > 1 || (aggregate.is_distinct() && !extreme) {
            return None;
        }
        let literal = arguments.first().and_then(|a| a.downcast_ref::<Literal>());
        let every_row = arguments.is_empty() || literal.is_some_and(|literal| !literal.value().is_null());
        let function = match kind {
            Kind::Count if every_row => Self { kind: Kind::CountRows, data_type },
            _ => Self { kind, data_type },
        };
        function.is_supported().then_some(function)
    }

    /// What counts or sums up the distinct values of an argument of this type, if that can be told from the values.
    pub(super) fn of_distinct(aggregate: &AggregateFunctionExpr, argument: &DataType) -> Option<Self> {
        let data_type = aggregate.field().data_type().clone();
        match kind_of(aggregate)? {
            Kind::Count => is_ordered(argument).then_some(Self { kind: Kind::CountRows, data_type }),
            Kind::Sum => is_summed(argument, &data_type).then_some(Self { kind: Kind::Sum, data_type }),
            _ => None,
        }
    }

    /// Whether the function needs no arguments to be evaluated.
    pub(super) fn ignores_arguments(&self) -> bool {
        self.kind == Kind::CountRows
    }

    fn is_supported(&self) -> bool {
        match self.kind {
            Kind::CountRows | Kind::Count => self.data_type == DataType::Int64,
            Kind::Avg => self.data_type == DataType::Float64,
            Kind::Sum => {
                matches!(
                    self.data_type,
                    DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Duration(_)
                ) || self.data_type.is_decimal()
            }
            // Intervals have no order.
            Kind::Min | Kind::Max => {
                self.data_type.is_primitive() && !matches!(self.data_type, DataType::Interval(_))
            }
        }
    }

    /// Empty states of it.
    pub(super) fn states(&self) -> Box<dyn NativeStates> {
        match self.kind {
            Kind::CountRows => Box::new(Counts { counts: Vec::new(), rows: true }),
            Kind::Count => Box::new(Counts { counts: Vec::new(), rows: false }),
            Kind::Avg => Box::new(Averages { sums: Vec::new(), counts: Vec::new() }),
            Kind::Sum => sums(&self.data_type),
            Kind::Min => extremes::<false>(&self.data_type),
            Kind::Max => extremes::<true>(&self.data_type),
        }
    }
}

/// By the type of the implementation, since a user's function may have the same name.
fn kind_of(aggregate: &AggregateFunctionExpr) -> Option<Kind> {
    let function: &dyn Any = aggregate.fun().inner().as_ref();
    let kinds = [
        (function.is::<Count>(), Kind::Count),
        (function.is::<Sum>(), Kind::Sum),
        (function.is::<Avg>(), Kind::Avg),
    ];
    let extreme = || match end_of(aggregate.fun())? {
        End::Least => Some(Kind::Min),
        End::Greatest => Some(Kind::Max),
    };
    kinds.into_iter().find_map(|(is, kind)| is.then_some(kind)).or_else(extreme)
}

fn sums(data_type: &DataType) -> Box<dyn NativeStates> {
    macro_rules! of {
        ($t:ty) => {
            Box::new(Folds::<$t, Add>::new(data_type))
        };
    }
    match data_type {
        DataType::UInt64 => of!(UInt64Type),
        DataType::Float64 => of!(Float64Type),
        DataType::Decimal32(_, _) => of!(Decimal32Type),
        DataType::Decimal64(_, _) => of!(Decimal64Type),
        DataType::Decimal128(_, _) => of!(Decimal128Type),
        DataType::Decimal256(_, _) => of!(Decimal256Type),
        DataType::Duration(TimeUnit::Second) => of!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => of!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => of!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => of!(DurationNanosecondType),
        _ => of!(Int64Type),
    }
}

fn extremes<const MAX: bool>(data_type: &DataType) -> Box<dyn NativeStates> {
    macro_rules! of {
        ($t:ty) => {
            Box::new(Folds::<$t, Extreme<MAX>>::new(data_type))
        };
    }
    downcast_primitive! {
        data_type => (of),
        _ => Box::new(Folds::<Int64Type, Extreme<MAX>>::new(data_type))
    }
}

/// The argument as an array of its type.
pub(super) fn argument<T: ArrowPrimitiveType>(values: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    values.first().and_then(|v| v.as_primitive_opt::<T>()).ok_or_else(|| {
        let found = values.first().map(|v| v.data_type().to_string()).unwrap_or_default();
        Error::internal(format!("the argument of an aggregate has an unexpected type: {found}"))
    })
}

/// Calls `f` with group and value of each row that counts.
#[inline]
fn each<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    filter: Option<&BooleanBuffer>,
    ids: &[u32],
    mut f: impl FnMut(usize, T::Native),
) {
    match valid_rows(values.nulls(), filter) {
        None => values.values().iter().zip(ids).for_each(|(value, id)| f(*id as usize, *value)),
        Some(valid) => {
            let values = values.values();
            valid.set_indices().for_each(|row| f(ids[row] as usize, values[row]));
        }
    }
}

pub(super) fn gather<T: Copy>(values: &[T], ids: &[u32]) -> Vec<T> {
    ids.iter().map(|id| values[*id as usize]).collect()
}

struct Counts {
    counts: Vec<i64>,
    /// Counts rows, NULL or not.
    rows: bool,
}

impl NativeStates for Counts {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let nulls = if self.rows { None } else { values.first().and_then(|v| v.logical_nulls()) };
        match valid_rows(nulls.as_ref(), filter) {
            None => ids.iter().for_each(|id| self.counts[*id as usize] += 1),
            Some(valid) => valid.set_indices().for_each(|row| self.counts[ids[row] as usize] += 1),
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(gather(&self.counts, ids))))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        columns.push(self.output(ids)?);
        Ok(())
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        each(argument::<Int64Type>(columns)?, None, ids, |id, count| self.counts[id] = count);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}

struct Averages {
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl Averages {
    /// Groups that have seen a value.
    fn seen(&self, ids: &[u32]) -> Option<NullBuffer> {
        some_nulls(BooleanBuffer::collect_bool(ids.len(), |i| self.counts[ids[i] as usize] > 0))
    }
}

pub(super) fn some_nulls(valid: BooleanBuffer) -> Option<NullBuffer> {
    Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0)
}

impl NativeStates for Averages {
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), 0.0);
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        each(argument::<Float64Type>(values)?, filter, ids, |id, value| {
            self.sums[id] += value;
            self.counts[id] += 1;
        });
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let average = |id: &u32| self.sums[*id as usize] / self.counts[*id as usize] as f64;
        Ok(Arc::new(Float64Array::new(ids.iter().map(average).collect(), self.seen(ids))))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        let seen = self.seen(ids);
        columns.push(Arc::new(UInt64Array::new(gather(&self.counts, ids).into(), seen.clone())));
        columns.push(Arc::new(Float64Array::new(gather(&self.sums, ids).into(), seen)));
        Ok(())
    }

    fn width(&self) -> usize {
        2
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        each(argument::<UInt64Type>(columns)?, None, ids, |id, count| self.counts[id] = count);
        each(argument::<Float64Type>(&columns[1..])?, None, ids, |id, sum| self.sums[id] = sum);
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.sums.capacity() + self.counts.capacity()) * 8
    }
}

/// How a value joins what its group has.
trait Fold<T: ArrowPrimitiveType>: Send {
    /// The two together; the first value of a group is taken as it is.
    fn fold(state: T::Native, value: T::Native) -> T::Native;
}

struct Add;

impl<T: ArrowNumericType> Fold<T> for Add {
    #[inline]
    fn fold(state: T::Native, value: T::Native) -> T::Native {
        state.add_wrapping(value)
    }
}

struct Extreme<const MAX: bool>;

impl<T: ArrowPrimitiveType, const MAX: bool> Fold<T> for Extreme<MAX>
where
    T::Native: ArrowNativeTypeOp,
{
    #[inline]
    fn fold(state: T::Native, value: T::Native) -> T::Native {
        let better = if MAX { value.is_gt(state) } else { value.is_lt(state) };
        if better { value } else { state }
    }
}

/// One value per group, NULL until there is one.
struct Folds<T: ArrowPrimitiveType, F> {
    data_type: DataType,
    values: Vec<T::Native>,
    seen: Vec<bool>,
    fold: std::marker::PhantomData<F>,
}

impl<T: ArrowPrimitiveType, F: Fold<T>> Folds<T, F> {
    fn new(data_type: &DataType) -> Self {
        Self {
            data_type: data_type.clone(),
            values: Vec::new(),
            seen: Vec::new(),
            fold: std::marker::PhantomData,
        }
    }
}

impl<T: ArrowPrimitiveType, F: Fold<T>> NativeStates for Folds<T, F> {
    fn grow(&mut self, groups: usize) {
        self.values.resize(groups.max(self.values.len()), T::default_value());
        self.seen.resize(groups.max(self.seen.len()), false);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let Self { values: states, seen, .. } = self;
        each(argument::<T>(values)?, filter, ids, |id, value| {
            let state = &mut states[id];
            *state = if seen[id] { F::fold(*state, value) } else { value };
            seen[id] = true;
        });
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let values = ScalarBuffer::from(gather(&self.values, ids));
        let nulls = some_nulls(BooleanBuffer::collect_bool(ids.len(), |i| self.seen[ids[i] as usize]));
        Ok(Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(self.data_type.clone())))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        columns.push(self.output(ids)?);
        Ok(())
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let Self { values: states, seen, .. } = self;
        each(argument::<T>(columns)?, None, ids, |id, value| {
            states[id] = value;
            seen[id] = true;
        });
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

//! Aggregates over rows with weights, of which `-n` takes a row back n times: count, sum, avg, the variances and
//! correlations, `bool_and` and `bool_or`, min, max and DISTINCT.
//!
//! All but the last three are sums over the rows, so their states add up in any order and a row that is taken back
//! leaves no trace. Sums are exact: integers and decimals, also below a cast to Float64 that the function asked for;
//! those of floats are no such sums, as adding is not the inverse of taking away. Integer sums wrap as DataFusion's do.
//! min, max and DISTINCT keep the values themselves ([`super::values`]).
//!
//! The weights are the last argument of each of these aggregates.

use super::moments::{Moment, Moments};
use super::native::{NativeStates, argument, gather, some_nulls};
use super::valid_rows;
use super::values::{Read, Values};
use crate::exec::key_table::is_bytes;
use crate::functions::{End, end_of};
use acequia_core::{Error, Result};
use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array,
    Decimal256Array, Float64Array, Int64Array, PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, Int64Type, Schema, TimeUnit, UInt64Type, i256,
};
use arrow::util::display::FormatOptions;
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::bool_and_or::{BoolAnd, BoolOr};
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Literal};
use std::any::Any;
use std::sync::Arc;

/// Large enough for any sum of integers or decimals.
pub(super) const WIDE: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0);

/// The rows' weights, and the arguments before them.
pub(super) fn split_weights(values: &[ArrayRef]) -> Result<(&[ArrayRef], &Int64Array)> {
    let split = values.split_last().and_then(|(last, values)| Some((values, last.as_primitive_opt()?)));
    split.ok_or_else(|| Error::internal("an aggregate over rows with weights has none"))
}

#[derive(Clone)]
enum Kind {
    Count,
    Sum(DataType),
    /// The average of integers.
    Average,
    /// The average of decimals of this scale.
    DecimalAverage(i8, DataType),
    /// `bool_and`, or else `bool_or`.
    Bool {
        all: bool,
    },
    /// The scales of its arguments.
    Moment(Moment, Vec<i8>),
    Extreme {
        max: bool,
        data_type: DataType,
    },
    DistinctCount(DataType),
    DistinctSum(DataType, DataType),
}

/// An aggregate that can take rows back.
pub(super) struct WeightedFunction {
    kind: Kind,
    /// Its arguments, without the weights.
    pub(super) arguments: Vec<Arc<dyn PhysicalExpr>>,
}

impl WeightedFunction {
    /// How many rows a group has.
    pub(super) fn rows() -> Self {
        Self { kind: Kind::Count, arguments: Vec::new() }
    }

    /// The form of an aggregate over rows with these columns that can take them back, if it has one.
    pub(super) fn of(aggregate: &AggregateFunctionExpr, input: &Schema) -> Option<Self> {
        let function: &dyn Any = aggregate.fun().inner().as_ref();
        let arguments = aggregate.expressions();
        let types = arguments.iter().map(|a| a.data_type(input)).collect::<Result<Vec<_>, _>>().ok()?;
        let output = aggregate.field().data_type().clone();
        let distinct = aggregate.is_distinct();
        if let Some(moment) = Moment::of(function).filter(|_| !distinct) {
            let exact = arguments.iter().map(|a| below_cast(a, input)).collect::<Option<Vec<_>>>()?;
            let (arguments, types): (Vec<_>, Vec<_>) = exact.into_iter().unzip();
            return Some(Self {
                kind: Kind::Moment(moment, types.iter().map(scale_of).collect()),
                arguments,
            });
        }
        let kind = match &types[..] {
            _ if function.is::<Count>() && !distinct => {
                let arguments = if counts_rows(&arguments) { Vec::new() } else { arguments };
                return Some(Self { kind: Kind::Count, arguments });
            }
            [one] if function.is::<Avg>() && !distinct => {
                return Self::average(&arguments[0], one, output, input);
            }
            [one] if function.is::<Count>() => {
                (is_ordered(one) && !one.is_floating()).then(|| Kind::DistinctCount(one.clone()))
            }
            [one] if function.is::<Sum>() && is_summed(one, &output) => Some(match distinct {
                true => Kind::DistinctSum(one.clone(), output),
                false => Kind::Sum(output),
            }),
            [DataType::Boolean] if function.is::<BoolAnd>() => Some(Kind::Bool { all: true }),
            [DataType::Boolean] if function.is::<BoolOr>() => Some(Kind::Bool { all: false }),
            [one] => end_of(aggregate.fun())
                .filter(|_| *one == output && is_ordered(one))
                .map(|end| Kind::Extreme { max: end == End::Greatest, data_type: output }),
            _ => None,
        }?;
        Some(Self { kind, arguments })
    }

    fn average(
        argument: &Arc<dyn PhysicalExpr>,
        data_type: &DataType,
        output: DataType,
        input: &Schema,
    ) -> Option<Self> {
        if output == DataType::Float64 {
            let (argument, data_type) = below_cast(argument, input)?;
            return data_type.is_integer().then(|| Self { kind: Kind::Average, arguments: vec![argument] });
        }
        // With fewer digits than it wants the average may be too large, which only DataFusion can say as it does.
        let fits = !matches!(data_type, DataType::Decimal256(..))
            && decimal(data_type).zip(decimal(&output)).is_some_and(|(of, to)| to == (of.0 + 4, of.1 + 4));
        let kind = Kind::DecimalAverage(scale_of(data_type), output);
        fits.then(|| Self { kind, arguments: vec![Arc::clone(argument)] })
    }

    /// The columns of its state.
    pub(super) fn fields(&self, name: &str) -> Vec<Field> {
        let field = |part: &str, data_type: DataType| Field::new(format!("{name}[{part}]"), data_type, true);
        let counted = |sum: DataType| vec![field("count", DataType::Int64), field("sum", sum)];
        match &self.kind {
            Kind::Count => vec![field("count", DataType::Int64)],
            Kind::Sum(sum) => counted(sum.clone()),
            Kind::Average => counted(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)),
            Kind::DecimalAverage(..) => counted(WIDE),
            Kind::Bool { .. } => vec![field("true", DataType::Int64), field("false", DataType::Int64)],
            Kind::Moment(moment, _) => {
                let sums = moment.sums().iter().map(|sum| field(sum, WIDE));
                [field("count", DataType::Int64)].into_iter().chain(sums).collect()
            }
            Kind::Extreme { .. } | Kind::DistinctCount(_) | Kind::DistinctSum(..) => Vec::new(),
        }
    }

    /// The type of the values that it keeps, if it does.
    pub(super) fn values(&self) -> Option<&DataType> {
        match &self.kind {
            Kind::Extreme { data_type, .. }
            | Kind::DistinctCount(data_type)
            | Kind::DistinctSum(data_type, _) => Some(data_type),
            _ => None,
        }
    }

    /// Empty states of it.
    pub(super) fn states(&self) -> Result<Box<dyn NativeStates>> {
        Ok(match &self.kind {
            Kind::Count => Box::new(Counts::default()),
            Kind::Sum(data_type) => sums(data_type),
            Kind::Average => Box::new(Averages::default()),
            Kind::DecimalAverage(scale, output) => Box::new(DecimalAverages {
                sums: Vec::new(),
                counts: Vec::new(),
                scale: *scale,
                output: output.clone(),
            }),
            Kind::Bool { all } => Box::new(Bools { all: *all, trues: Vec::new(), falses: Vec::new() }),
            Kind::Moment(moment, scales) => Box::new(Moments::new(*moment, scales.clone())),
            Kind::Extreme { max, data_type } => {
                Box::new(Values::try_new(data_type, if *max { Read::Max } else { Read::Min })?)
            }
            Kind::DistinctCount(data_type) => {
                Box::new(Values::try_new(data_type, Read::Distinct(Box::new(Counts::default())))?)
            }
            Kind::DistinctSum(data_type, output) => {
                Box::new(Values::try_new(data_type, Read::Distinct(sums(output)))?)
            }
        })
    }
}

fn counts_rows(arguments: &[Arc<dyn PhysicalExpr>]) -> bool {
    arguments.iter().all(|a| a.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null()))
}

/// Squares of numbers with so many digits can be added up in 256 bits.
const SQUARED_DIGITS: u8 = 19;

/// The integer or decimal whose cast to Float64 an argument is, since the function takes nothing else.
fn below_cast(argument: &Arc<dyn PhysicalExpr>, input: &Schema) -> Option<(Arc<dyn PhysicalExpr>, DataType)> {
    let cast = argument.downcast_ref::<CastExpr>().filter(|cast| *cast.cast_type() == DataType::Float64)?;
    let data_type = cast.expr().data_type(input).ok()?;
    let short = decimal(&data_type).is_some_and(|(precision, _)| precision <= SQUARED_DIGITS);
    (data_type.is_integer() || short).then(|| (Arc::clone(cast.expr()), data_type))
}

/// Precision and scale.
fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

fn scale_of(data_type: &DataType) -> i8 {
    decimal(data_type).map_or(0, |(_, scale)| scale)
}

/// Whether values of a type have an order in which min and max are its ends. Intervals have none.
pub(super) fn is_ordered(data_type: &DataType) -> bool {
    let primitive = data_type.is_primitive() && !matches!(data_type, DataType::Interval(_));
    primitive || is_bytes(data_type) || *data_type == DataType::Boolean
}

/// Whether sums of a type are exact, and of this type.
pub(super) fn is_summed(argument: &DataType, output: &DataType) -> bool {
    match argument {
        DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => argument == output,
        DataType::Decimal32(..) => matches!(output, DataType::Decimal32(..)),
        DataType::Decimal64(..) => matches!(output, DataType::Decimal64(..)),
        DataType::Decimal128(..) => matches!(output, DataType::Decimal128(..)),
        DataType::Decimal256(..) => matches!(output, DataType::Decimal256(..)),
        _ => false,
    }
}

/// Rows that count.
pub(super) fn rows_of<'a>(
    values: impl Iterator<Item = &'a ArrayRef>,
    filter: Option<&BooleanBuffer>,
    rows: usize,
) -> BooleanBuffer {
    let nulls =
        values.fold(None, |all, value| NullBuffer::union(all.as_ref(), value.logical_nulls().as_ref()));
    valid_rows(nulls.as_ref(), filter).unwrap_or_else(|| BooleanBuffer::new_set(rows))
}

#[derive(Default)]
struct Counts {
    counts: Vec<i64>,
}

impl NativeStates for Counts {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let rows = rows_of(values.iter(), filter, ids.len());
        rows.set_indices().for_each(|row| self.counts[ids[row] as usize] += weights.value(row));
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
        set(&mut self.counts, ids, argument::<Int64Type>(columns)?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}

/// Puts saved numbers back.
pub(super) fn set<T: ArrowPrimitiveType>(states: &mut [T::Native], ids: &[u32], saved: &PrimitiveArray<T>) {
    ids.iter().zip(saved.values()).for_each(|(id, value)| states[*id as usize] = *value);
}

/// Groups with a count above 0.
fn counted(counts: &[i64], ids: &[u32]) -> Option<NullBuffer> {
    some_nulls(BooleanBuffer::collect_bool(ids.len(), |i| counts[ids[i] as usize] != 0))
}

/// A weight as a factor, modulo the width of the number as sums are.
trait Factor {
    fn factor(weight: i64) -> Self;
}

macro_rules! factor {
    ($($t:ty),*) => {
        $(impl Factor for $t {
            fn factor(weight: i64) -> Self {
                weight as $t
            }
        })*
    };
}
factor!(i32, i64, u64, i128);

impl Factor for i256 {
    fn factor(weight: i64) -> Self {
        Self::from_i128(weight.into())
    }
}

fn sums(data_type: &DataType) -> Box<dyn NativeStates> {
    macro_rules! of {
        ($t:ty) => {
            Box::new(Sums::<$t> { data_type: data_type.clone(), sums: Vec::new(), counts: Vec::new() })
        };
    }
    match data_type {
        DataType::UInt64 => of!(UInt64Type),
        DataType::Decimal32(..) => of!(Decimal32Type),
        DataType::Decimal64(..) => of!(Decimal64Type),
        DataType::Decimal128(..) => of!(Decimal128Type),
        DataType::Decimal256(..) => of!(Decimal256Type),
        DataType::Duration(TimeUnit::Second) => of!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => of!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => of!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => of!(DurationNanosecondType),
        _ => of!(Int64Type),
    }
}

/// Sums, NULL without values.
struct Sums<T: ArrowPrimitiveType> {
    data_type: DataType,
    sums: Vec<T::Native>,
    counts: Vec<i64>,
}

impl<T: ArrowPrimitiveType> NativeStates for Sums<T>
where
    T::Native: ArrowNativeTypeOp + Factor,
{
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), T::default_value());
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let numbers = argument::<T>(values)?;
        for row in rows_of(values.iter(), filter, ids.len()).set_indices() {
            let (id, weight) = (ids[row] as usize, weights.value(row));
            let part = numbers.value(row).mul_wrapping(T::Native::factor(weight));
            self.sums[id] = self.sums[id].add_wrapping(part);
            self.counts[id] += weight;
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let sums = ScalarBuffer::from(gather(&self.sums, ids));
        let sums = PrimitiveArray::<T>::new(sums, counted(&self.counts, ids));
        Ok(Arc::new(sums.with_data_type(self.data_type.clone())))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        let sums = PrimitiveArray::<T>::from_iter_values(gather(&self.sums, ids));
        columns.push(Arc::new(Int64Array::from(gather(&self.counts, ids))));
        columns.push(Arc::new(sums.with_data_type(self.data_type.clone())));
        Ok(())
    }

    fn width(&self) -> usize {
        2
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        set(&mut self.counts, ids, argument::<Int64Type>(columns)?);
        set(&mut self.sums, ids, argument::<T>(&columns[1..])?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// Averages of integers as Float64.
#[derive(Default)]
struct Averages {
    sums: Vec<i128>,
    counts: Vec<i64>,
}

impl NativeStates for Averages {
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), 0);
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let rows = rows_of(values.iter(), filter, ids.len());
        let mut add = |row: usize, number: i128| {
            let (id, weight) = (ids[row] as usize, weights.value(row));
            self.sums[id] += number * i128::from(weight);
            self.counts[id] += weight;
        };
        match values.first().and_then(|value| value.as_primitive_opt::<Int64Type>()) {
            Some(numbers) => rows.set_indices().for_each(|row| add(row, numbers.value(row).into())),
            None => {
                let wide = integers(values)?;
                let numbers = argument::<Decimal128Type>(&wide)?;
                rows.set_indices().for_each(|row| add(row, numbers.value(row)));
            }
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let average = |id: &u32| self.sums[*id as usize] as f64 / self.counts[*id as usize] as f64;
        Ok(Arc::new(Float64Array::new(ids.iter().map(average).collect(), counted(&self.counts, ids))))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        let sums = Decimal128Array::from(gather(&self.sums, ids));
        columns.push(Arc::new(Int64Array::from(gather(&self.counts, ids))));
        columns.push(Arc::new(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?));
        Ok(())
    }

    fn width(&self) -> usize {
        2
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        set(&mut self.counts, ids, argument::<Int64Type>(columns)?);
        set(&mut self.sums, ids, argument::<Decimal128Type>(&columns[1..])?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}

fn integers(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|value| Ok(cast(value, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))?)).collect()
}

/// Integers and decimals as the numbers that they are written with, in 256 bits.
pub(super) fn wide(value: &ArrayRef, scale: i8) -> Result<Decimal256Array> {
    let wide = cast(value, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale))?;
    let wide = wide.as_primitive_opt::<Decimal256Type>().cloned();
    wide.ok_or_else(|| Error::internal("the argument of an aggregate is no number"))
}

/// Averages of decimals.
struct DecimalAverages {
    sums: Vec<i256>,
    counts: Vec<i64>,
    scale: i8,
    output: DataType,
}

impl NativeStates for DecimalAverages {
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), i256::ZERO);
        self.counts.resize(groups.max(self.counts.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let value = values.first().ok_or_else(|| Error::internal("an average has no argument"))?;
        let numbers = wide(value, self.scale)?;
        for row in rows_of(values.iter(), filter, ids.len()).set_indices() {
            let (id, weight) = (ids[row] as usize, weights.value(row));
            let part = numbers.value(row).wrapping_mul(i256::factor(weight));
            self.sums[id] = self.sums[id].wrapping_add(part);
            self.counts[id] += weight;
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let scale = scale_of(&self.output);
        let finer = i256::from_i128(10).wrapping_pow(u32::from(scale.abs_diff(self.scale)));
        let average = |id: &u32| {
            let count = self.counts[*id as usize];
            let sum = self.sums[*id as usize].wrapping_mul(finer);
            (count != 0).then(|| sum.wrapping_div(i256::factor(count)))
        };
        let averages: Decimal256Array = ids.iter().map(average).collect();
        let averages = averages.with_precision_and_scale(DECIMAL256_MAX_PRECISION, scale)?;
        let strict = CastOptions { safe: false, format_options: FormatOptions::new() };
        Ok(cast_with_options(&averages, &self.output, &strict)?)
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        columns.push(Arc::new(Int64Array::from(gather(&self.counts, ids))));
        columns.push(wide_state(gather(&self.sums, ids)));
        Ok(())
    }

    fn width(&self) -> usize {
        2
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        set(&mut self.counts, ids, argument::<Int64Type>(columns)?);
        set(&mut self.sums, ids, argument::<Decimal256Type>(&columns[1..])?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<i256>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// A column of state that is as wide as it can be.
pub(super) fn wide_state(numbers: Vec<i256>) -> ArrayRef {
    Arc::new(Decimal256Array::from(numbers).with_data_type(WIDE))
}

struct Bools {
    all: bool,
    trues: Vec<i64>,
    falses: Vec<i64>,
}

impl NativeStates for Bools {
    fn grow(&mut self, groups: usize) {
        self.trues.resize(groups.max(self.trues.len()), 0);
        self.falses.resize(groups.max(self.falses.len()), 0);
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let bools = values.first().and_then(|value| value.as_boolean_opt());
        let bools = bools.ok_or_else(|| Error::internal("the argument of an aggregate is not Boolean"))?;
        for row in rows_of(values.iter(), filter, ids.len()).set_indices() {
            let counts = if bools.value(row) { &mut self.trues } else { &mut self.falses };
            counts[ids[row] as usize] += weights.value(row);
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let result = |id: &u32| {
            let (trues, falses) = (self.trues[*id as usize], self.falses[*id as usize]);
            let is_some = trues != 0 || falses != 0;
            is_some.then_some(if self.all { falses == 0 } else { trues != 0 })
        };
        Ok(Arc::new(ids.iter().map(result).collect::<BooleanArray>()))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        columns.push(Arc::new(Int64Array::from(gather(&self.trues, ids))));
        columns.push(Arc::new(Int64Array::from(gather(&self.falses, ids))));
        Ok(())
    }

    fn width(&self) -> usize {
        2
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        set(&mut self.trues, ids, argument::<Int64Type>(columns)?);
        set(&mut self.falses, ids, argument::<Int64Type>(&columns[1..])?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.trues.capacity() + self.falses.capacity()) * size_of::<i64>()
    }
}

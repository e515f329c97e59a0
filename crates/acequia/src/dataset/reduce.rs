//! `reduce`: an aggregate function that combines values of a Rust type by a function of the program.
//!
//! The function is associative and commutative, so partial results combine in any order. The state of a group is one
//! value, in the columns of its type.

use super::columns::nullable_type;
use super::guard::without_panic;
use super::rows::{Row, RowCodec};
use crate::error::into_datafusion;
use acequia_core::Result;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

type DataFusionResult<T> = datafusion::common::Result<T>;
type Combine<T> = Arc<dyn Fn(T, T) -> T + Send + Sync>;

/// The aggregate over a column that holds whole values of type `T`, as [`RowCodec::data_type`]; NULL where a group has
/// no value.
pub(super) fn reduce<T: Row>(
    values: Expr,
    codec: RowCodec<T>,
    combine: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Expr {
    let data_type = nullable_type(&codec.data_type());
    let signature = Signature::any(1, Volatility::Immutable);
    let function = Reduce { codec, combine: Arc::new(combine), data_type, signature };
    AggregateUDF::from(function).call(vec![values])
}

struct Reduce<T> {
    codec: RowCodec<T>,
    combine: Combine<T>,
    data_type: DataType,
    signature: Signature,
}

impl<T> Reduce<T> {
    fn identity(&self) -> *const u8 {
        Arc::as_ptr(&self.combine).cast()
    }
}

impl<T: Row> Reduce<T> {
    fn reducer(&self) -> Reducer<T> {
        Reducer {
            codec: self.codec.clone(),
            combine: Arc::clone(&self.combine),
            data_type: self.data_type.clone(),
            groups: vec![],
        }
    }
}

impl<T> fmt::Debug for Reduce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reduce").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl<T> PartialEq for Reduce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl<T> Eq for Reduce<T> {}

impl<T> Hash for Reduce<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl<T: Row> AggregateUDFImpl for Reduce<T> {
    fn name(&self) -> &str {
        "reduce"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DataFusionResult<Vec<arrow::datatypes::FieldRef>> {
        let field =
            arrow::datatypes::Field::new(format!("{}[value]", args.name), self.data_type.clone(), true);
        Ok(vec![Arc::new(field)])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> DataFusionResult<Box<dyn Accumulator>> {
        let mut reducer = self.reducer();
        reducer.groups.push(None);
        Ok(Box::new(One(reducer)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.reducer()))
    }
}

/// The values of groups.
struct Reducer<T> {
    codec: RowCodec<T>,
    combine: Combine<T>,
    data_type: DataType,
    groups: Vec<Option<T>>,
}

impl<T: Row> Reducer<T> {
    /// Combines each value that is not NULL and that the filter lets pass into its group's.
    fn add(
        &mut self,
        values: &ArrayRef,
        of: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        if self.groups.len() < groups {
            self.groups.resize_with(groups, || None);
        }
        let passes = |row: &usize| filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row));
        let rows: Vec<usize> = (0..values.len()).filter(|row| values.is_valid(*row)).filter(passes).collect();
        let given = match rows.len() == values.len() {
            true => self.codec.values(&without_nulls(values))?,
            false => {
                let indices: UInt32Array = rows.iter().map(|row| *row as u32).collect();
                self.codec.values(&without_nulls(&take(values, &indices, None)?))?
            }
        };
        without_panic("values were reduced", || {
            for (row, value) in rows.into_iter().zip(given) {
                let group = &mut self.groups[of[row]];
                *group = Some(match group.take() {
                    Some(before) => (self.combine)(before, value),
                    None => value,
                });
            }
            Ok(())
        })
    }

    /// The values of groups as a column.
    fn column(&self, groups: &[Option<T>]) -> Result<ArrayRef> {
        let values: Vec<&T> = groups.iter().flatten().collect();
        let column = cast(&self.codec.array(&values)?, &self.data_type)?;
        if values.len() == groups.len() {
            return Ok(column);
        }
        let mut next = 0..;
        let places: UInt32Array =
            groups.iter().map(|value| value.as_ref().and_then(|_| next.next())).collect();
        Ok(take(&column, &places, None)?)
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.column(&groups)
    }
}

/// The same column, known to have no NULL.
fn without_nulls(values: &ArrayRef) -> ArrayRef {
    match values.as_struct_opt() {
        Some(rows) if rows.nulls().is_some() => {
            let (fields, columns, _) = rows.clone().into_parts();
            Arc::new(arrow::array::StructArray::new(fields, columns, None))
        }
        _ => Arc::clone(values),
    }
}

impl<T: Row> GroupsAccumulator for Reducer<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> DataFusionResult<()> {
        self.add(&values[0], group_indices, filter, groups).map_err(into_datafusion)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        groups: usize,
    ) -> DataFusionResult<()> {
        self.add(&values[0], group_indices, None, groups).map_err(into_datafusion)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DataFusionResult<ArrayRef> {
        self.emit(emit_to).map_err(into_datafusion)
    }

    fn state(&mut self, emit_to: EmitTo) -> DataFusionResult<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to).map_err(into_datafusion)?])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> DataFusionResult<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(vec![Arc::clone(&values[0])]) };
        let passes = |(row, passes): (usize, Option<bool>)| passes.unwrap_or(false).then_some(row as u32);
        let places: UInt32Array = filter.iter().enumerate().map(passes).collect();
        Ok(vec![take(&values[0], &places, None)?])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Option<T>>()
    }
}

/// The value of the only group.
struct One<T>(Reducer<T>);

impl<T> fmt::Debug for One<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("One").finish_non_exhaustive()
    }
}

impl<T: Row> Accumulator for One<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.0.add(&values[0], &vec![0; values[0].len()], None, 1).map_err(into_datafusion)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let column = self.0.column(&self.0.groups).map_err(into_datafusion)?;
        ScalarValue::try_from_array(&column, 0)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + GroupsAccumulator::size(&self.0)
    }
}

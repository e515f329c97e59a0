//! `min` and `max` of floats in their total order, NaN above everything: so they are without GROUP BY and over frames.
//!
//! The accumulators by groups of DataFusion 55 forget a NaN at the next value, so that the answer depends on the order of
//! rows, and begin with the largest finite number, below which infinity never comes. No incremental answer can copy
//! that, nor is it one that anybody wants of a batch query.

use arrow::array::{ArrowNativeTypeOp, ArrowPrimitiveType};
use arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, GroupsAccumulator, LogicalPlan,
    ReversedUDAF, Signature,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use std::any::Any;
use std::sync::Arc;

/// Which end of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// That of `min`.
    Least,
    /// That of `max`.
    Greatest,
}

/// The end that a function finds, by the type of the implementation, since a user's function may have the same name.
pub(crate) fn end_of(function: &AggregateUDF) -> Option<End> {
    let function: &dyn Any = function.inner().as_ref();
    match function.downcast_ref::<Extreme>() {
        Some(extreme) => Some(extreme.end),
        None if function.is::<Min>() => Some(End::Least),
        None => function.is::<Max>().then_some(End::Greatest),
    }
}

/// `min` or `max` of DataFusion with other accumulators by groups.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    end: End,
    function: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.function.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match arguments.return_field.data_type() {
            DataType::Float16 => Ok(by_groups::<Float16Type>(self.end)),
            DataType::Float32 => Ok(by_groups::<Float32Type>(self.end)),
            DataType::Float64 => Ok(by_groups::<Float64Type>(self.end)),
            other => internal_err!("not a float: {other}"),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// An accumulator whose groups begin at the other end: there is nothing beyond it.
fn by_groups<T: ArrowPrimitiveType + Send>(end: End) -> Box<dyn GroupsAccumulator> {
    match end {
        End::Least => {
            let least = |least: &mut T::Native, value: T::Native| {
                if value.is_lt(*least) {
                    *least = value;
                }
            };
            let states = PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, least);
            Box::new(states.with_starting_value(T::Native::MAX_TOTAL_ORDER))
        }
        End::Greatest => {
            let greatest = |greatest: &mut T::Native, value: T::Native| {
                if value.is_gt(*greatest) {
                    *greatest = value;
                }
            };
            let states = PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, greatest);
            Box::new(states.with_starting_value(T::Native::MIN_TOTAL_ORDER))
        }
    }
}

/// Gives aggregates these functions.
#[derive(Debug)]
pub(crate) struct InTotalOrder;

impl AnalyzerRule for InTotalOrder {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
            let schema = Arc::clone(aggregate.input.schema());
            node.map_expressions(|expr| expr.transform_up(|expr| ordered(expr, &schema)))
        });
        Ok(changed?.data)
    }

    fn name(&self) -> &str {
        "extremes_in_total_order"
    }
}

fn ordered(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::AggregateFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
    match end_of(&call.func) {
        Some(end) if expr.get_type(schema)?.is_floating() => {
            let function = Arc::clone(&call.func);
            let func = Arc::new(AggregateUDF::new_from_impl(Extreme { end, function }));
            let call = AggregateFunction { func, ..call.clone() };
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        _ => Ok(Transformed::no(expr)),
    }
}

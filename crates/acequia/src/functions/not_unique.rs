//! `__not_unique(c)` is `c`, of which the planner does not know that it was a unique key.
//!
//! DataFusion 55 believes that a key of a relation (a declared one, or that of an aggregate) is still unique after the
//! relation was unnested, and drops a DISTINCT above it. A row in several windows makes that wrong, so the keys are
//! hidden before.

use super::expand::all_columns;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function `__not_unique`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NotUnique {
    signature: Signature,
}

/// Every column of a plan, those of its keys hidden.
pub(crate) fn columns_without_keys(plan: &LogicalPlan) -> Vec<Expr> {
    let schema = plan.schema();
    let is_key =
        |index: usize| schema.functional_dependencies().iter().any(|d| d.source_indices.contains(&index));
    let hidden = |(index, column)| if is_key(index) { hide(column, schema, index) } else { column };
    all_columns(plan).into_iter().enumerate().map(hidden).collect()
}

fn hide(column: Expr, schema: &DFSchema, index: usize) -> Expr {
    let function = NotUnique { signature: Signature::any(1, Volatility::Immutable) };
    let (relation, field) = schema.qualified_field(index);
    ScalarUDF::from(function).call(vec![column]).alias_qualified(relation.cloned(), field.name())
}

impl ScalarUDFImpl for NotUnique {
    fn name(&self) -> &str {
        "__not_unique"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.pop().ok_or_else(|| super::invalid("__not_unique takes one argument"))
    }
}

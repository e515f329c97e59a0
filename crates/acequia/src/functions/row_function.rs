//! A function of the program as a function of DataFusion: rows, as one struct column, to a column.
//!
//! It depends on nothing but the row, so it may stand over rows that are taken back. DataFusion is told that it is
//! volatile all the same: a filter is then neither merged with one that stands before it nor pushed below a join, where
//! the function would be given rows that it was not written for.

use crate::error::into_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

type Function = dyn Fn(&RecordBatch) -> Result<ArrayRef> + Send + Sync;

/// See the [module](self). Two are equal when they are the same function object.
pub struct RowFunction {
    name: &'static str,
    signature: Signature,
    data_type: DataType,
    function: Arc<Function>,
}

/// Whether an expression gives another value each time, for the same row.
pub fn is_volatile(expr: &Expr) -> bool {
    let of_row = |expr: &Expr| match expr {
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<RowFunction>().is_some(),
        _ => false,
    };
    expr.exists(|e| Ok(e.is_volatile_node() && !of_row(e))).unwrap_or(true)
}

impl RowFunction {
    /// The call of a function over rows in a struct column; it gives a column of this type.
    pub fn call(
        name: &'static str,
        row: Expr,
        data_type: DataType,
        function: impl Fn(&RecordBatch) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Expr {
        let signature = Signature::any(1, Volatility::Volatile);
        let function = Self { name, signature, data_type, function: Arc::new(function) };
        ScalarUDF::from(function).call(vec![row])
    }

    fn identity(&self) -> *const u8 {
        Arc::as_ptr(&self.function).cast()
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>, _>>()?;
        let batch = arrays.first().and_then(|rows| rows.as_struct_opt()).map(RecordBatch::from);
        let batch = batch.ok_or_else(|| into_datafusion(Error::internal("a function takes a row")))?;
        let column = (self.function)(&batch).map_err(into_datafusion)?;
        Ok(ColumnarValue::Array(cast(&column, &self.data_type)?))
    }
}

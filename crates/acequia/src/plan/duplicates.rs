//! When the keys of `drop_duplicates` may be forgotten.

use super::build::times_of;
use super::time_key::bound_of;
use crate::error::from_datafusion;
use crate::exec::{DropDuplicatesSpec, Expiry};
use crate::functions::{DropDuplicates, EventTimeWatermark, TimeRole};
use acequia_core::{Error, OperatorId, Result};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Column;
use datafusion::logical_expr::LogicalPlan;

/// What the operator needs to know.
pub(super) fn spec(
    node: &DropDuplicates,
    operator: OperatorId,
    schema: SchemaRef,
) -> Result<DropDuplicatesSpec> {
    let position = |column: &Column| node.input().schema().index_of_column(column).map_err(from_datafusion);
    let columns = node.columns().iter().map(position).collect::<Result<Vec<_>>>()?;
    let times = times_of(node.input())?;
    let expiry = match node.event_time() {
        Some(column) => {
            let index = position(column)?;
            let time = times[index].as_ref().filter(|time| time.role == TimeRole::EventTime);
            let Some((time, delay_micros)) =
                time.and_then(|time| Some((time, delay(node.input(), &time.watermarks)?)))
            else {
                return Err(Error::unsupported(format!(
                    "drop_duplicates_within_watermark needs the stream's event-time column as it is: column=`{}`; add WATERMARK FOR, or use drop_duplicates",
                    column.name
                )));
            };
            Expiry::Within { column: index, delay_micros, bound: bound_of(time) }
        }
        None => {
            let timed = columns.iter().find_map(|index| {
                let time = times[*index].as_ref()?;
                let plain =
                    matches!(time.data_type, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
                (plain && !time.watermarks.is_empty()).then_some((*index, time))
            });
            timed.map_or(Expiry::Never, |(column, time)| Expiry::InKey { column, bound: bound_of(time) })
        }
    };
    Ok(DropDuplicatesSpec { operator, schema, columns, expiry })
}

/// The longest delay among these watermarks.
fn delay(plan: &LogicalPlan, watermarks: &std::collections::BTreeSet<String>) -> Option<i64> {
    let own = EventTimeWatermark::of(plan).and_then(EventTimeWatermark::own);
    let own = own.filter(|own| watermarks.contains(&own.id)).map(|own| own.delay);
    let below = plan.inputs().into_iter().filter_map(|input| delay(input, watermarks));
    own.into_iter().chain(below).max()
}

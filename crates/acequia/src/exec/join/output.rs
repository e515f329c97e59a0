//! What a join gives in a batch.

use super::side::Alone;
use super::{JoinEmit, JoinSpec};
use crate::exec::given::Given;
use acequia_core::Result;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::JoinType;
use std::sync::Arc;

/// Collects rows of the output.
pub(super) struct Output {
    given: Given,
    emit: JoinEmit,
    kind: JoinType,
    /// The types of what comes out of each side.
    types: [Vec<DataType>; 2],
}

impl Output {
    pub(super) fn new(spec: &JoinSpec) -> Self {
        let types = |side: &super::JoinSide| {
            side.output.iter().map(|column| side.schema.field(*column).data_type().clone()).collect()
        };
        Self {
            given: Given::new(&spec.output_schema, spec.emit == JoinEmit::Changes),
            emit: spec.emit,
            kind: spec.kind,
            types: [types(&spec.sides[0]), types(&spec.sides[1])],
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.given.schema()
    }

    /// Whether pairs come out.
    pub(super) fn has_pairs(&self) -> bool {
        matches!(self.kind, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full)
    }

    pub(super) fn pairs(
        &mut self,
        left: Vec<ArrayRef>,
        right: Vec<ArrayRef>,
        weights: Vec<i64>,
    ) -> Result<()> {
        self.given.push(left.into_iter().chain(right).collect(), &weights)
    }

    /// What rows of a side with these degrees give beside pairs. `last` says that their degrees are final.
    pub(super) fn alone(
        &mut self,
        side: usize,
        alone: Alone,
        columns: &[ArrayRef],
        degrees: &[i64],
        weights: &[i64],
        last: bool,
    ) -> Result<()> {
        let matched = BooleanBuffer::collect_bool(degrees.len(), |row| degrees[row] > 0);
        let changing = self.emit == JoinEmit::Changes;
        match alone {
            Alone::Nothing => Ok(()),
            // Without weights a row has been given when it found its first partner.
            Alone::Matched if last && !changing => Ok(()),
            Alone::Matched => self.selected(columns, weights, &matched),
            Alone::Unmatched if last || changing => {
                let mut columns = columns.to_vec();
                if self.has_pairs() {
                    let padding = self.types[1 - side].iter().map(|t| new_null_array(t, degrees.len()));
                    let padding: Vec<ArrayRef> = padding.collect();
                    columns.splice(if side == 0 { columns.len()..columns.len() } else { 0..0 }, padding);
                }
                self.selected(&columns, weights, &!&matched)
            }
            Alone::Mark if last || changing => {
                let mut columns = columns.to_vec();
                columns.push(Arc::new(BooleanArray::new(matched, None)));
                self.given.push(columns, weights)
            }
            Alone::Unmatched | Alone::Mark => Ok(()),
        }
    }

    /// The selected rows.
    pub(super) fn selected(
        &mut self,
        columns: &[ArrayRef],
        weights: &[i64],
        selected: &BooleanBuffer,
    ) -> Result<()> {
        let rows: Vec<u32> = selected.set_indices().map(|row| row as u32).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let weights: Vec<i64> = rows.iter().map(|row| weights[*row as usize]).collect();
        let rows = UInt32Array::from(rows);
        let columns = columns.iter().map(|column| take(column, &rows, None));
        self.given.push(columns.collect::<std::result::Result<_, _>>()?, &weights)
    }

    /// All rows of the batch.
    pub(super) fn take(&mut self) -> Result<Vec<RecordBatch>> {
        self.given.take()
    }
}

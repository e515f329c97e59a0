//! From the rows that the plan gives to what the output mode promises the sink.
//!
//! Rows without a weight pass straight through. Weighted rows of a batch are first consolidated: equal rows add up and
//! those of weight 0 are gone, so that a row which was taken back and given again leaves no trace. In `UPDATE` what is
//! left is split by key into new versions and deletes; in `CHANGES` it is named `+I -U +U -D`.

use crate::error::from_datafusion;
use crate::plan::StreamingPlan;
use acequia_core::{Error, OutputMode, Result, SinkBatch, SinkWriter};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{FormatOptions, array_value_to_string};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// A value that does not fit the promised type is an error, never NULL.
const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// How a query's rows become its output.
#[derive(Debug, Clone)]
pub(super) struct OutputShape {
    /// What a batch gives the sink.
    pub(super) mode: OutputMode,
    /// The columns that the sink sees: those of the result, and `op` in `CHANGES`.
    pub(super) sink_schema: SchemaRef,
    /// The columns of the result, without weight and `op`.
    pub(super) schema: SchemaRef,
    /// Whether rows carry a weight as last column.
    pub(super) weighted: bool,
    /// The columns that identify a row; `None` when nothing does.
    pub(super) key: Option<Vec<usize>>,
}

impl OutputShape {
    /// The shape of a plan's output.
    pub(super) fn of(plan: &StreamingPlan) -> Self {
        Self {
            mode: plan.mode,
            sink_schema: plan.sink_schema(),
            schema: Arc::clone(&plan.schema),
            weighted: plan.weighted,
            key: plan.key.clone(),
        }
    }

    /// Writes a batch's rows; returns how many rows the sink got.
    pub(super) async fn write(
        &self,
        mut rows: SendableRecordBatchStream,
        writer: &mut dyn SinkWriter,
    ) -> Result<u64> {
        if self.weighted {
            return self.write_weighted(rows, writer).await;
        }
        let mut written = 0;
        while let Some(batch) = rows.try_next().await.map_err(from_datafusion)? {
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = self.result(&batch)?;
            let batch =
                if self.mode == OutputMode::Changes { self.with_op(&batch, |_| "+I")? } else { batch };
            written += batch.num_rows() as u64;
            writer.write(batch.into()).await?;
        }
        Ok(written)
    }

    async fn write_weighted(
        &self,
        rows: SendableRecordBatchStream,
        writer: &mut dyn SinkWriter,
    ) -> Result<u64> {
        let schema = rows.schema();
        let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(from_datafusion)?;
        let all = concat_batches(&schema, &batches)?;
        if all.num_rows() == 0 {
            return Ok(0);
        }
        let changes = Changes::consolidate(&self.result(&all)?, weights(&all)?)?;
        let keyed = changes.by_key(self.key.as_deref())?;
        let output = match self.mode {
            OutputMode::Update if keyed.twice.is_some() => return Err(self.key_is_none(&changes, &keyed)),
            OutputMode::Update => SinkBatch { rows: changes.inserted(), deletes: keyed.lost(&changes) },
            _ => {
                let named = changes.rows();
                self.with_op(&named, |row| keyed.op(&changes, row))?.into()
            }
        };
        let deleted = output.deletes.as_ref().map_or(0, RecordBatch::num_rows);
        let written = (output.rows.num_rows() + deleted) as u64;
        if written > 0 {
            writer.write(output).await?;
        }
        Ok(written)
    }

    /// Two rows with one key, of which a sink would keep one.
    fn key_is_none(&self, changes: &Changes, keyed: &Keyed) -> Error {
        let row = changes.take(keyed.twice.as_slice());
        let value = |column: &usize| {
            let name = self.schema.field(*column).name();
            let value = array_value_to_string(row.column(*column), 0).unwrap_or_default();
            format!("{name}={value}")
        };
        let key: Vec<String> = self.key.iter().flatten().map(value).collect();
        Error::data(format!(
            "two rows of the result have one key, and UPDATE keeps one row of each: {}; declare a key that tells them apart, or use EMIT CHANGES",
            key.join(", ")
        ))
    }

    /// The columns of the result with the names and types that the sink was promised.
    fn result(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast_with_options(column, field.data_type(), &STRICT)
            }
        });
        let columns: Vec<ArrayRef> = columns.collect::<std::result::Result<_, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn with_op<'a>(&self, batch: &RecordBatch, op: impl Fn(usize) -> &'a str) -> Result<RecordBatch> {
        let ops = StringArray::from_iter_values((0..batch.num_rows()).map(op));
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(ops));
        Ok(RecordBatch::try_new(Arc::clone(&self.sink_schema), columns)?)
    }
}

fn weights(batch: &RecordBatch) -> Result<&Int64Array> {
    let last = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    last.ok_or_else(|| Error::internal("rows without a weight on a retracting edge"))
}

fn encode(batch: &RecordBatch, columns: &[usize]) -> Result<Rows> {
    let arrays: Vec<ArrayRef> = columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(&arrays)?)
}

/// The net changes of a batch: rows taken back, each as often as it is, then rows given.
struct Changes {
    all: RecordBatch,
    lost: Vec<u32>,
    given: Vec<u32>,
}

impl Changes {
    fn consolidate(rows: &RecordBatch, weights: &Int64Array) -> Result<Self> {
        let columns: Vec<usize> = (0..rows.num_columns()).collect();
        let encoded = encode(rows, &columns)?;
        let mut net: HashMap<&[u8], (u32, i64)> = HashMap::with_capacity(rows.num_rows());
        for (index, weight) in weights.values().iter().enumerate() {
            let entry = net.entry(encoded.row(index).data()).or_insert((index as u32, 0));
            entry.1 += weight;
        }
        let mut net: Vec<(u32, i64)> = net.into_values().filter(|(_, weight)| *weight != 0).collect();
        net.sort_unstable();
        let repeated = |wanted: fn(i64) -> i64| {
            let rows =
                net.iter().flat_map(move |(row, w)| std::iter::repeat_n(*row, wanted(*w).max(0) as usize));
            rows.collect::<Vec<u32>>()
        };
        Ok(Self { all: rows.clone(), lost: repeated(|w| -w), given: repeated(|w| w) })
    }

    fn take(&self, rows: &[u32]) -> RecordBatch {
        // Every index comes from this batch, so taking cannot fail.
        take_record_batch(&self.all, &UInt32Array::from(rows.to_vec()))
            .unwrap_or_else(|_| self.all.slice(0, 0))
    }

    fn rows(&self) -> RecordBatch {
        self.take(&[self.lost.as_slice(), self.given.as_slice()].concat())
    }

    fn inserted(&self) -> RecordBatch {
        self.take(&self.given)
    }

    fn by_key(&self, key: Option<&[usize]>) -> Result<Keyed> {
        let all = |pair: bool| Keyed {
            lost_pairs: vec![pair; self.lost.len()],
            given_pairs: vec![pair; self.given.len()],
            twice: None,
        };
        let key = match key {
            None => return Ok(all(false)),
            // The key of a result that has one row: what is lost and what is given are its two versions.
            Some([]) => {
                let pairs = all(!self.lost.is_empty() && !self.given.is_empty());
                return Ok(Keyed { twice: self.given.get(1).copied(), ..pairs });
            }
            Some(key) => key,
        };
        let encoded = encode(&self.all, key)?;
        let keys =
            |rows: &[u32]| rows.iter().map(|r| encoded.row(*r as usize).data()).collect::<HashSet<_>>();
        let (lost, given) = (keys(&self.lost), keys(&self.given));
        let within = |rows: &[u32], others: &HashSet<&[u8]>| {
            rows.iter().map(|r| others.contains(encoded.row(*r as usize).data())).collect::<Vec<_>>()
        };
        let mut seen = HashSet::with_capacity(given.len());
        let twice = |row: &&u32| !seen.insert(encoded.row(**row as usize).data());
        let twice =
            if given.len() < self.given.len() { self.given.iter().find(twice).copied() } else { None };
        Ok(Keyed { lost_pairs: within(&self.lost, &given), given_pairs: within(&self.given, &lost), twice })
    }
}

/// Which of the net changes are two versions of one row.
struct Keyed {
    lost_pairs: Vec<bool>,
    given_pairs: Vec<bool>,
    /// A row that is given and has the key of another one.
    twice: Option<u32>,
}

impl Keyed {
    /// Rows whose key is gone.
    fn lost(&self, changes: &Changes) -> Option<RecordBatch> {
        let gone = changes.lost.iter().zip(&self.lost_pairs).filter(|(_, pair)| !**pair);
        let gone: Vec<u32> = gone.map(|(row, _)| *row).collect();
        (!gone.is_empty()).then(|| changes.take(&gone))
    }

    /// The name of the n-th change.
    fn op(&self, changes: &Changes, row: usize) -> &'static str {
        match row.checked_sub(changes.lost.len()) {
            None => {
                if self.lost_pairs[row] {
                    "-U"
                } else {
                    "-D"
                }
            }
            Some(given) => {
                if self.given_pairs[given] {
                    "+U"
                } else {
                    "+I"
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};

    fn schema() -> SchemaRef {
        let fields = vec![Field::new("k", DataType::Int64, true), Field::new("n", DataType::Int64, true)];
        Arc::new(Schema::new(fields))
    }

    fn changes(rows: &[(i64, i64, i64)]) -> Changes {
        let column = |f: fn(&(i64, i64, i64)) -> i64| {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(f))) as ArrayRef
        };
        let batch = RecordBatch::try_new(schema(), vec![column(|r| r.0), column(|r| r.1)]);
        let weights = Int64Array::from_iter_values(rows.iter().map(|r| r.2));
        Changes::consolidate(&batch.unwrap(), &weights).unwrap()
    }

    fn ops(changes: &Changes, key: Option<&[usize]>) -> Vec<&'static str> {
        let keyed = changes.by_key(key).unwrap();
        (0..changes.lost.len() + changes.given.len()).map(|row| keyed.op(changes, row)).collect()
    }

    #[test]
    fn a_row_taken_back_and_given_again_leaves_no_trace() {
        let net = changes(&[(1, 5, -1), (1, 5, 1), (2, 7, 1)]);
        assert_eq!(ops(&net, Some(&[0])), ["+I"]);
    }

    #[test]
    fn two_versions_of_a_key_are_an_update_and_the_rest_is_not() {
        let net = changes(&[(1, 5, -1), (1, 6, 1), (2, 7, -1), (3, 8, 1)]);
        assert_eq!(ops(&net, Some(&[0])), ["-U", "-D", "+U", "+I"]);
        assert_eq!(net.by_key(Some(&[0])).unwrap().lost(&net).unwrap().num_rows(), 1);
    }

    #[test]
    fn a_result_of_one_row_is_updated() {
        let net = changes(&[(0, 1, -1), (0, 2, 1)]);
        assert_eq!(ops(&net, Some(&[])), ["-U", "+U"]);
    }

    #[test]
    fn without_a_key_nothing_is_an_update() {
        let net = changes(&[(0, 1, -1), (0, 2, 1)]);
        assert_eq!(ops(&net, None), ["-D", "+I"]);
    }

    #[test]
    fn a_weight_repeats_the_row() {
        assert_eq!(changes(&[(1, 1, 3), (1, 1, -1)]).given.len(), 2);
    }
}

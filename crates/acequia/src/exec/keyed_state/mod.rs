//! What a user's processor keeps for each key: `transform_with_state`.
//!
//! Semantics follow Spark's. The rows of a batch are handed to the processor key by key, those of a key in the order of
//! their arrival; then each timer that is due, in the order of time for a key. The watermark and the batch's time stand
//! still meanwhile.
//! - A timer is due when the watermark (or the batch's time) is *after* it: then no row of its instant can come any
//!   more. A timer that a timer registers is due in the same batch if it is passed too, so that a long jump of the
//!   watermark is as good as many small ones. It must be later than the one that registers it.
//! - What was written with a time to live is gone once the batch's time has reached its end; each write renews it. It
//!   leaves before the first row of a batch is handled.
//! - With timers of event time, rows below the watermark are late.
//!
//! State: for each variable a table of `key`, the place within the key (`index` of a list, `map_key`), `expires_at`
//! and the value's columns; for timers the table `timers` of `key` and `at`. Values are Rust values in memory, turned
//! into columns when they are saved ([`Codec`]). Memory: what the values take, and about 100 bytes for each key, 60 for
//! each element of a variable. All rows of a batch are held until it ends.

mod saved;
mod state;

pub use saved::TIMERS;
pub use state::{KeyContext, KeyedState, SubKey, Value};

use super::aggregate::coalesce;
use super::route::{RouteColumn, RouteValue};
use super::{BatchContext, Operator, TimeBound};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{Error, OperatorId, Result, Timestamp, Watermark};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StructArray, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use arrow::util::display::array_value_to_string;
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashMap;
use saved::Tables;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// By which time timers are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeMode {
    /// There are no timers, and nothing expires.
    None,
    /// The batch's time. What is written may expire.
    ProcessingTime,
    /// The watermark.
    EventTime,
}

impl fmt::Display for TimeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::ProcessingTime => "processing time",
            Self::EventTime => "event time",
        })
    }
}

/// Turns values of one Rust type into columns and back.
pub trait Codec: fmt::Debug + Send + Sync {
    /// The columns.
    fn fields(&self) -> &Fields;

    /// Values as columns.
    ///
    /// # Errors
    /// `Data` when a value does not write itself; `Internal` for values of another type.
    fn encode(&self, values: &[&(dyn Any + Send + Sync)]) -> Result<Vec<ArrayRef>>;

    /// Columns as values.
    ///
    /// # Errors
    /// `Data` when they are not of this type.
    fn decode(&self, columns: Vec<ArrayRef>) -> Result<Vec<Value>>;
}

/// Turns keys of one Rust type into a column and back.
pub trait KeyCodec: fmt::Debug + Send + Sync {
    /// The type of the column.
    fn data_type(&self) -> &DataType;

    /// Keys as a column.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    fn encode(&self, keys: &[&dyn SubKey]) -> Result<ArrayRef>;

    /// A column as keys.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    fn decode(&self, column: &ArrayRef) -> Result<Vec<Box<dyn SubKey>>>;
}

/// What a variable holds for a key.
#[derive(Debug, Clone)]
pub enum VariableKind {
    /// One value, under the sub key `()`.
    Value,
    /// Values under ascending `i64`.
    List,
    /// Values under keys.
    Map(Arc<dyn KeyCodec>),
}

/// A variable of a processor.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name, that of its table.
    pub name: String,
    /// What it holds for a key.
    pub kind: VariableKind,
    /// How long a value lives after it was written, in microseconds of processing time.
    pub ttl_micros: Option<i64>,
    /// The values.
    pub codec: Arc<dyn Codec>,
    /// About how many bytes a value takes.
    pub value_bytes: usize,
}

/// Keys of a batch.
pub struct Keys {
    /// The key column, one row for each key.
    pub values: ArrayRef,
    /// The same as the state knows them.
    pub ids: Vec<OwnedRow>,
}

/// Rows, those of each key beside each other.
pub struct Grouped {
    /// The rows.
    pub rows: ArrayRef,
    /// How many each key has.
    pub counts: Vec<usize>,
}

/// What is done with the rows of a key. It keeps nothing itself: all shards share it.
pub trait KeyedProcessor: fmt::Debug + Send + Sync {
    /// What it is called in errors and plans.
    fn name(&self) -> &str;

    /// The columns of what it emits.
    fn output_schema(&self) -> SchemaRef;

    /// Its variables.
    fn variables(&self) -> &[Variable];

    /// Which timers it has.
    fn time_mode(&self) -> TimeMode;

    /// Handles the initial rows and the rows of each key; gives what it emits.
    ///
    /// # Errors
    /// Those of the user's code; the batch then fails.
    fn handle_rows(
        &self,
        keys: &Keys,
        initial: Option<&Grouped>,
        rows: &Grouped,
        state: &mut KeyedState,
    ) -> Result<RecordBatch>;

    /// Handles the due timers of each key; gives what it emits.
    ///
    /// # Errors
    /// As [`KeyedProcessor::handle_rows`].
    fn handle_timers(&self, keys: &Keys, state: &mut KeyedState) -> Result<RecordBatch>;
}

/// What the planner says.
#[derive(Debug, Clone)]
pub struct KeyedStateSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// What is done with rows.
    pub processor: Arc<dyn KeyedProcessor>,
    /// The columns of the input: first the key, then the row.
    pub input_schema: SchemaRef,
    /// The column of initial rows. A row has that or the row.
    pub initial: Option<usize>,
    /// The column of event time and what the watermark means for it; rows below are late.
    pub time: Option<(usize, TimeBound)>,
    /// The column of event time of what is emitted, which must not be below the watermark of the batch before.
    pub emitted_time: Option<(usize, TimeBound)>,
}

impl KeyedStateSpec {
    const KEY: usize = 0;
    const ROW: usize = 1;

    fn key_type(&self) -> &DataType {
        self.input_schema.field(Self::KEY).data_type()
    }

    /// The column that tells shards apart.
    pub(super) fn routing(&self) -> Vec<RouteColumn> {
        let value = RouteValue::Plain(self.key_type().clone());
        vec![RouteColumn { column: Self::KEY, saved: 0, value }]
    }
}

/// See the [module](self).
pub struct KeyedStateOperator {
    spec: KeyedStateSpec,
    tables: Tables,
    converter: RowConverter,
    state: KeyedState,
    rows: Vec<RecordBatch>,
    in_batch: bool,
    late: u64,
}

impl KeyedStateOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for a key that cannot be compared.
    pub fn try_new(spec: KeyedStateSpec) -> Result<Self> {
        let key = spec.key_type().clone();
        let converter = RowConverter::new(vec![SortField::new(key.clone())]).map_err(|e| {
            Error::unsupported(format!("rows cannot be grouped by a key of this type: type=`{key}`: {e}"))
        })?;
        let variables: Arc<[Variable]> = spec.processor.variables().into();
        Ok(Self {
            tables: Tables::new(spec.operator, &key, Arc::clone(&variables)),
            state: KeyedState::new(variables, spec.processor.time_mode()),
            converter,
            spec,
            rows: Vec::new(),
            in_batch: false,
            late: 0,
        })
    }

    /// The rows that are not below the watermark.
    fn on_time(&mut self, watermark: Watermark, batch: RecordBatch) -> Result<RecordBatch> {
        let Some((column, bound)) = &self.spec.time else { return Ok(batch) };
        let Some(bound) = bound.at(watermark)? else { return Ok(batch) };
        let times = super::aggregate::times_in(batch.column(*column), None)?;
        let on_time: BooleanArray = times.iter().map(|t| Some(t.is_none_or(|t| t >= bound))).collect();
        self.late += (on_time.len() - on_time.true_count()) as u64;
        Ok(filter_record_batch(&batch, &on_time)?)
    }

    /// Keys as comparable bytes; 0.0 and -0.0 are one key, as in GROUP BY.
    fn encode(&self, keys: &ArrayRef) -> Result<Rows> {
        Ok(self.converter.convert_columns(&[with_one_zero(keys)?])?)
    }

    fn handle_rows(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let encoded = self.encode(rows.column(KeyedStateSpec::KEY))?;
        let mut groups: HashMap<&[u8], usize> = HashMap::new();
        let mut ids: Vec<OwnedRow> = Vec::new();
        let group_of: Vec<usize> = (0..rows.num_rows())
            .map(|row| {
                let key = encoded.row(row);
                *groups.entry(key.data()).or_insert_with(|| {
                    ids.push(key.owned());
                    ids.len() - 1
                })
            })
            .collect();
        let values = self.keys_of(ids.iter())?;
        let initial = self.spec.initial.map(|column| rows.column(column));
        let is_initial = |row: usize| initial.is_some_and(|column| column.is_valid(row));
        let grouped = |column: &ArrayRef, wanted: &dyn Fn(usize) -> bool| -> Result<Grouped> {
            let mut of_group: Vec<Vec<u32>> = vec![Vec::new(); ids.len()];
            (0..rows.num_rows())
                .filter(|row| wanted(*row))
                .for_each(|row| of_group[group_of[row]].push(row as u32));
            let counts = of_group.iter().map(Vec::len).collect();
            let indices: UInt32Array = of_group.into_iter().flatten().map(Some).collect();
            Ok(Grouped { rows: take(column, &indices, None)?, counts })
        };
        let handled = grouped(rows.column(KeyedStateSpec::ROW), &|row| !is_initial(row))?;
        let initial = initial.map(|column| grouped(column, &is_initial)).transpose()?;
        let keys = Keys { values, ids };
        self.spec.processor.handle_rows(&keys, initial.as_ref(), &handled, &mut self.state)
    }

    /// Refuses rows that would be late where they are read, as Spark does.
    fn expect_on_time(&self, context: &BatchContext, emitted: &[RecordBatch]) -> Result<()> {
        let Some((column, bound)) = &self.spec.emitted_time else { return Ok(()) };
        let Some(bound) = bound.at(context.previous_watermark)? else { return Ok(()) };
        for batch in emitted {
            let times = super::aggregate::times_in(batch.column(*column), None)?;
            if let Some(row) = times.iter().position(|time| time.is_some_and(|time| time < bound)) {
                return Err(Error::data(format!(
                    "a row was emitted below the watermark, where it would be late; emit the time of the row or timer that is handled, or a later one: processor=`{}` column=`{}` time={} watermark={}",
                    self.spec.processor.name(),
                    batch.schema().field(*column).name(),
                    array_value_to_string(batch.column(*column), row)?,
                    context.previous_watermark.0.map_or_else(String::new, Timestamp::to_iso),
                )));
            }
        }
        Ok(())
    }

    fn keys_of<'a>(&self, ids: impl Iterator<Item = &'a OwnedRow>) -> Result<ArrayRef> {
        let mut columns = self.converter.convert_rows(ids.map(OwnedRow::row))?;
        columns.pop().ok_or_else(|| Error::internal("a key has no column"))
    }
}

/// The same with 0.0 for -0.0, in the fields of structs too.
fn with_one_zero(keys: &ArrayRef) -> Result<ArrayRef> {
    let Some(key) = keys.as_struct_opt() else { return Ok(normalize_float_zero(keys)) };
    let columns = key.columns().iter().map(with_one_zero).collect::<Result<_>>()?;
    let (fields, nulls) = (key.fields().clone(), key.nulls().cloned());
    Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, key.len())?))
}

impl Operator for KeyedStateOperator {
    fn output_schema(&self) -> SchemaRef {
        self.spec.processor.output_schema()
    }

    fn push(&mut self, context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
        let batch = self.on_time(context.late_watermark, batch)?;
        if batch.num_rows() > 0 {
            self.rows.push(batch);
        }
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        if !std::mem::take(&mut self.in_batch) {
            self.late = 0;
        }
        self.state.begin(context);
        let mut output = Vec::new();
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            let rows = concat_batches(&rows[0].schema(), &rows)?;
            output.push(self.handle_rows(&rows)?);
        }
        let ids = self.state.due_keys();
        if !ids.is_empty() {
            let keys = Keys { values: self.keys_of(ids.iter())?, ids };
            output.push(self.spec.processor.handle_timers(&keys, &mut self.state)?);
        }
        self.expect_on_time(context, &output)?;
        coalesce(output)
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        self.state.wakes_at(watermark)
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.state.due_at()
    }
}

impl Stateful for KeyedStateOperator {
    fn tables(&self) -> Vec<TableDef> {
        self.tables.defs().to_vec()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let changes = self.state.take_changes();
        self.tables.deltas(&self.state, changes, &self.converter)
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        let rows = self.tables.own_columns(table, rows)?;
        let keys = self.encode(rows.column(0))?;
        self.tables.restore(table, &keys, &rows, &mut self.state)
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.tables.snapshot(table, &self.state, &self.converter)
    }

    fn state_rows(&self) -> usize {
        self.state.rows()
    }

    fn state_bytes(&self) -> usize {
        self.state.bytes()
    }
}

//! What a program gives to `transform_with_state`: [`StatefulProcessor`].

use super::guard::without_panic;
use super::rows::{Row, RowCodec};
use super::variables::Variables;
use crate::exec::{Grouped, KeyContext, KeyedProcessor, KeyedState, Keys, TimeMode, Variable};
use acequia_core::{Error, Result, Timestamp};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use std::fmt;
use std::sync::Arc;

/// Handles the rows of a stream key by key, with variables and timers of its own for each key.
///
/// One processor serves all keys and shards, so it keeps nothing itself: what it is to remember goes into variables. An
/// error or a panic fails the batch, of which nothing is written then. Of the rows of a batch those of a key come
/// together, in the order of their arrival; the order of keys means nothing.
pub trait StatefulProcessor: Send + Sync + 'static {
    /// What rows are grouped by.
    type Key: Row;
    /// The rows.
    type Input: Row;
    /// What is emitted.
    type Output: Row;
    /// The handles of the variables, as a [`ValueState`](super::ValueState) or a tuple of several.
    type State: Send + Sync + 'static;

    /// Declares the variables.
    ///
    /// # Errors
    /// Those of [`Variables`].
    fn init(&self, variables: &mut Variables) -> Result<Self::State>;

    /// Handles the rows that a batch has for a key: at least one.
    ///
    /// # Errors
    /// The program's own.
    fn handle_rows(
        &self,
        state: &Self::State,
        key: &Self::Key,
        rows: Vec<Self::Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Self::Output>,
    ) -> Result<()>;

    /// Handles a timer of a key, after the rows of the batch. The timer is gone already.
    ///
    /// # Errors
    /// The program's own; a processor that registers timers must say what they do.
    fn handle_timer(
        &self,
        _state: &Self::State,
        _key: &Self::Key,
        at: Timestamp,
        _context: &mut KeyContext<'_>,
        _output: &mut Vec<Self::Output>,
    ) -> Result<()> {
        Err(Error::invalid(format!("a timer is due that nothing handles: at={at}; implement handle_timer")))
    }
}

/// A processor that begins with rows of a table.
pub trait InitialState: StatefulProcessor {
    /// A row of the table.
    type Initial: Row;

    /// Handles a row of the table, in the first batch and before the rows of its key.
    ///
    /// # Errors
    /// The program's own.
    fn handle_initial_state(
        &self,
        state: &Self::State,
        key: &Self::Key,
        row: Self::Initial,
        context: &mut KeyContext<'_>,
    ) -> Result<()>;
}

/// Hands an initial row of a key to a processor.
type HandleInitial<P> = dyn Fn(&Typed<P>, &<P as StatefulProcessor>::Key, &ArrayRef, &mut KeyContext<'_>) -> Result<()>
    + Send
    + Sync;

/// A processor as its operator sees it.
pub(super) struct Typed<P: StatefulProcessor> {
    name: String,
    processor: P,
    state: P::State,
    variables: Vec<Variable>,
    mode: TimeMode,
    keys: RowCodec<P::Key>,
    inputs: RowCodec<P::Input>,
    outputs: RowCodec<P::Output>,
    initial: Option<Box<HandleInitial<P>>>,
}

impl<P: StatefulProcessor> fmt::Debug for Typed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<P: StatefulProcessor> Typed<P> {
    pub(super) fn try_new(processor: P, mode: TimeMode) -> Result<Self> {
        let path = std::any::type_name::<P>();
        let path = path.split('<').next().unwrap_or(path);
        let name = path.rsplit("::").next().unwrap_or(path).to_string();
        let mut variables = Variables::new(mode);
        let state = without_panic("a processor declared its variables", || processor.init(&mut variables));
        let state = state.map_err(|e| e.context(format!("processor `{name}`")))?;
        Ok(Self {
            name,
            processor,
            state,
            variables: variables.into_declared(),
            mode,
            keys: RowCodec::try_new()?,
            inputs: RowCodec::try_new()?,
            outputs: RowCodec::try_new()?,
            initial: None,
        })
    }

    fn named(&self, error: Error) -> Error {
        error.context(format!("processor `{}`", self.name))
    }

    fn keys_of(&self, keys: &Keys) -> Result<Vec<P::Key>> {
        self.keys.values(&keys.values).map_err(|e| self.named(e.context("its key")))
    }

    /// Calls the processor for a key.
    fn call<R>(&self, doing: &str, key: &P::Key, f: impl FnOnce() -> Result<R>) -> Result<R> {
        without_panic(doing, f).map_err(|e| {
            // A key that cannot be printed is no reason for another error.
            let key = serde_json::to_string(key).unwrap_or_default();
            e.context(format!("processor `{}`, key {key}", self.name))
        })
    }
}

impl<P: InitialState> Typed<P> {
    pub(super) fn with_initial_state(self) -> Result<Self> {
        let codec = RowCodec::<P::Initial>::try_new()?;
        let initial: Box<HandleInitial<P>> = Box::new(move |typed, key, rows, context| {
            codec
                .decode(&batch_of(rows)?)?
                .into_iter()
                .try_for_each(|row| typed.processor.handle_initial_state(&typed.state, key, row, context))
        });
        Ok(Self { initial: Some(initial), ..self })
    }
}

/// The fields of rows that are kept in one column.
fn batch_of(rows: &ArrayRef) -> Result<RecordBatch> {
    use arrow::array::AsArray;
    let rows = rows.as_struct_opt().ok_or_else(|| Error::internal("rows of a key are no structs"))?;
    Ok(RecordBatch::from(rows))
}

impl<P: StatefulProcessor> KeyedProcessor for Typed<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(self.outputs.schema())
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn time_mode(&self) -> TimeMode {
        self.mode
    }

    fn handle_rows(
        &self,
        keys: &Keys,
        initial: Option<&Grouped>,
        rows: &Grouped,
        state: &mut KeyedState,
    ) -> Result<RecordBatch> {
        let mut output = Vec::new();
        let values = self.inputs.decode(&batch_of(&rows.rows)?);
        let mut values = values.map_err(|e| self.named(e))?.into_iter();
        let mut initial_from = 0;
        for (number, (key, id)) in self.keys_of(keys)?.iter().zip(&keys.ids).enumerate() {
            let own: Vec<P::Input> = values.by_ref().take(rows.counts[number]).collect();
            state.with_key(id, |context| -> Result<()> {
                if let (Some(initial), Some(handle)) = (initial, &self.initial) {
                    let count = initial.counts[number];
                    let rows = initial.rows.slice(initial_from, count);
                    initial_from += count;
                    if count > 0 {
                        self.call("handling its initial state", key, || handle(self, key, &rows, context))?;
                    }
                }
                if own.is_empty() {
                    return Ok(());
                }
                self.call("handling its rows", key, || {
                    self.processor.handle_rows(&self.state, key, own, context, &mut output)
                })
            })?;
        }
        self.outputs.encode(&output)
    }

    fn handle_timers(&self, keys: &Keys, state: &mut KeyedState) -> Result<RecordBatch> {
        let mut output = Vec::new();
        for (key, id) in self.keys_of(keys)?.iter().zip(&keys.ids) {
            state.with_key(id, |context| -> Result<()> {
                while let Some(at) = context.next_due() {
                    self.call("handling its timer", key, || {
                        self.processor.handle_timer(&self.state, key, at, context, &mut output)
                    })?;
                }
                Ok(())
            })?;
        }
        self.outputs.encode(&output)
    }
}

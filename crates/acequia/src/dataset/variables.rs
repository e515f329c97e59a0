//! The variables of a processor: what it declares, and the handles by which it reads and writes them.

use super::rows::{Row, RowCodec};
use crate::exec::{Codec, KeyCodec, KeyContext, SubKey, TIMERS, TimeMode, Value, Variable, VariableKind};
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Fields};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Takes the declarations of a processor's variables.
///
/// The value of a variable is Rust in memory and columns in the checkpoint, where `state('q')` reads it. So what serde
/// does not write of it (`#[serde(skip)]`, less than a microsecond of a time) is lost over a restart. Its type may get
/// new fields that are options; other changes of it need a new checkpoint.
#[derive(Debug)]
pub struct Variables {
    mode: TimeMode,
    declared: Vec<Variable>,
}

impl Variables {
    pub(super) fn new(mode: TimeMode) -> Self {
        Self { mode, declared: Vec::new() }
    }

    pub(super) fn into_declared(self) -> Vec<Variable> {
        self.declared
    }

    /// One value for each key. With `ttl` it is gone when so much processing time has passed since it was written.
    ///
    /// # Errors
    /// `Invalid` for a name that is empty or taken, and for a time to live that is zero or without
    /// [`TimeMode::ProcessingTime`]; `Unsupported` for a type that has no columns (see [`Row`]).
    pub fn value<V: Row>(&mut self, name: &str, ttl: Option<Duration>) -> Result<ValueState<V>> {
        self.declare::<V>(name, VariableKind::Value, ttl).map(|index| ValueState { index, of: PhantomData })
    }

    /// A list of values for each key; `ttl` is that of each element.
    ///
    /// # Errors
    /// As [`Variables::value`].
    pub fn list<V: Row>(&mut self, name: &str, ttl: Option<Duration>) -> Result<ListState<V>> {
        self.declare::<V>(name, VariableKind::List, ttl).map(|index| ListState { index, of: PhantomData })
    }

    /// A map for each key; `ttl` is that of each entry. Keys that differ must be written differently by serde.
    ///
    /// # Errors
    /// As [`Variables::value`].
    pub fn map<K: Row + Ord + Clone, V: Row>(
        &mut self,
        name: &str,
        ttl: Option<Duration>,
    ) -> Result<MapState<K, V>> {
        let keys = MapKeys::<K>::try_new().map_err(|e| e.context(format!("state variable `{name}`")))?;
        let index = self.declare::<V>(name, VariableKind::Map(Arc::new(keys)), ttl)?;
        Ok(MapState { index, of: PhantomData })
    }

    fn declare<V: Row>(&mut self, name: &str, kind: VariableKind, ttl: Option<Duration>) -> Result<usize> {
        if name.is_empty() || name == TIMERS {
            return Err(Error::invalid(format!("a state variable cannot have this name: `{name}`")));
        }
        if self.declared.iter().any(|variable| variable.name == name) {
            return Err(Error::invalid(format!("a state variable is declared twice: `{name}`")));
        }
        if ttl.is_some() && self.mode != TimeMode::ProcessingTime {
            return Err(Error::invalid(format!(
                "a time to live counts processing time: variable=`{name}` time mode={}; use TimeMode::ProcessingTime",
                self.mode
            )));
        }
        let ttl_micros = ttl.map(|ttl| i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX));
        if ttl_micros == Some(0) {
            return Err(Error::invalid(format!(
                "a time to live must be at least a microsecond: variable=`{name}`"
            )));
        }
        let codec = RowCodec::<V>::try_new().map_err(|e| e.context(format!("state variable `{name}`")))?;
        let (name, codec, value_bytes) = (name.to_string(), Arc::new(Values(codec)), size_of::<V>());
        self.declared.push(Variable { name, kind, ttl_micros, codec, value_bytes });
        Ok(self.declared.len() - 1)
    }
}

/// A value for each key; declared by [`Variables::value`].
pub struct ValueState<V> {
    index: usize,
    of: PhantomData<fn() -> V>,
}

impl<V: Row> ValueState<V> {
    /// The key's value.
    pub fn get<'a>(&self, context: &'a KeyContext<'_>) -> Option<&'a V> {
        context.get(self.index, &()).and_then(|value| value.downcast_ref())
    }

    /// Writes the key's value.
    pub fn set(&self, context: &mut KeyContext<'_>, value: V) {
        context.put(self.index, ().boxed(), Box::new(value));
    }

    /// Removes the key's value.
    pub fn take(&self, context: &mut KeyContext<'_>) -> Option<V> {
        context.remove(self.index, &()).and_then(own)
    }
}

/// A list for each key; declared by [`Variables::list`].
pub struct ListState<V> {
    index: usize,
    of: PhantomData<fn() -> V>,
}

impl<V: Row> ListState<V> {
    /// The key's elements in the order in which they were put in.
    pub fn iter<'a>(&self, context: &'a KeyContext<'_>) -> impl DoubleEndedIterator<Item = &'a V> {
        context.elements(self.index).filter_map(|(_, value)| value.downcast_ref())
    }

    /// Appends an element.
    pub fn push(&self, context: &mut KeyContext<'_>, value: V) {
        let last = context.elements(self.index).next_back();
        let last = last.and_then(|(position, _)| position.as_any().downcast_ref::<i64>().copied());
        let next = last.map_or(0, |last| last.saturating_add(1));
        context.put(self.index, next.boxed(), Box::new(value));
    }

    /// Removes all elements and gives them.
    pub fn take(&self, context: &mut KeyContext<'_>) -> Vec<V> {
        context.take_all(self.index).into_iter().filter_map(own).collect()
    }
}

/// A map for each key; declared by [`Variables::map`].
pub struct MapState<K, V> {
    index: usize,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K: Row + Ord + Clone, V: Row> MapState<K, V> {
    /// The value under a key of the map.
    pub fn get<'a>(&self, context: &'a KeyContext<'_>, map_key: &K) -> Option<&'a V> {
        context.get(self.index, map_key).and_then(|value| value.downcast_ref())
    }

    /// Writes the value under a key of the map.
    pub fn insert(&self, context: &mut KeyContext<'_>, map_key: K, value: V) {
        context.put(self.index, Box::new(map_key), Box::new(value));
    }

    /// Removes the value under a key of the map.
    pub fn remove(&self, context: &mut KeyContext<'_>, map_key: &K) -> Option<V> {
        context.remove(self.index, map_key).and_then(own)
    }

    /// The entries in the order of their keys.
    pub fn iter<'a>(&self, context: &'a KeyContext<'_>) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)> {
        let entries = context.elements(self.index);
        entries.filter_map(|(key, value)| Some((key.as_any().downcast_ref()?, value.downcast_ref()?)))
    }

    /// Removes all entries and gives their values.
    pub fn take(&self, context: &mut KeyContext<'_>) -> Vec<V> {
        context.take_all(self.index).into_iter().filter_map(own).collect()
    }
}

macro_rules! handles {
    ($($name:ident<$($of:ident),*>;)*) => {
        $(impl<$($of),*> Clone for $name<$($of),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($of),*> Copy for $name<$($of),*> {}

        impl<$($of),*> fmt::Debug for $name<$($of),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("index", &self.index).finish_non_exhaustive()
            }
        })*
    };
}

handles! {
    ValueState<V>;
    ListState<V>;
    MapState<K, V>;
}

fn own<V: 'static>(value: Value) -> Option<V> {
    value.downcast().ok().map(|value| *value)
}

fn other_type() -> Error {
    Error::internal("a state variable holds a value of another type")
}

/// Values of a type as columns.
struct Values<V>(RowCodec<V>);

impl<V> fmt::Debug for Values<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<V: Row> Codec for Values<V> {
    fn fields(&self) -> &Fields {
        self.0.schema().fields()
    }

    fn encode(&self, values: &[&(dyn Any + Send + Sync)]) -> Result<Vec<ArrayRef>> {
        let values: Option<Vec<&V>> = values.iter().map(|value| value.downcast_ref()).collect();
        self.0.columns(&values.ok_or_else(other_type)?)
    }

    fn decode(&self, columns: Vec<ArrayRef>) -> Result<Vec<Value>> {
        let rows = RecordBatch::try_new(Arc::clone(self.0.schema()), columns)?;
        Ok(self.0.decode(&rows)?.into_iter().map(|value| Box::new(value) as Value).collect())
    }
}

/// Keys of a map as a column.
struct MapKeys<K> {
    codec: RowCodec<K>,
    data_type: DataType,
}

impl<K> fmt::Debug for MapKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.codec.fmt(f)
    }
}

impl<K: Row> MapKeys<K> {
    fn try_new() -> Result<Self> {
        let codec = RowCodec::try_new()?;
        Ok(Self { data_type: codec.data_type(), codec })
    }
}

impl<K: Row + Ord + Clone> KeyCodec for MapKeys<K> {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn encode(&self, keys: &[&dyn SubKey]) -> Result<ArrayRef> {
        let keys: Option<Vec<&K>> = keys.iter().map(|key| (**key).as_any().downcast_ref()).collect();
        self.codec.array(&keys.ok_or_else(other_type)?)
    }

    fn decode(&self, column: &ArrayRef) -> Result<Vec<Box<dyn SubKey>>> {
        Ok(self.codec.values(column)?.into_iter().map(|key| Box::new(key) as Box<dyn SubKey>).collect())
    }
}

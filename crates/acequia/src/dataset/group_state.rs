//! The short forms of `transform_with_state`: one value and one timeout for each key.

use super::groups::KeyValueGroups;
use super::processor::StatefulProcessor;
use super::rows::Row;
use super::variables::{ValueState, Variables};
use crate::exec::{KeyContext, TimeMode};
use crate::session::DataFrame;
use acequia_core::{OutputMode, Result, Timestamp};
use std::marker::PhantomData;
use std::time::Duration;

/// What is kept of a key: a value, and a timeout that counts until the key's next call.
#[derive(Debug)]
pub struct GroupState<'a, 'k, S> {
    value: ValueState<S>,
    context: &'a mut KeyContext<'k>,
    timed_out: bool,
}

impl<S: Row> GroupState<'_, '_, S> {
    /// The value, if there is one.
    pub fn get(&self) -> Option<&S> {
        self.value.get(self.context)
    }

    /// Writes the value.
    pub fn set(&mut self, value: S) {
        self.value.set(self.context, value);
    }

    /// Removes the value and gives it.
    pub fn take(&mut self) -> Option<S> {
        self.value.take(self.context)
    }

    /// Whether this call is because of the timeout, and there are no rows.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    /// The watermark of the batch; `None` until the first event time is known.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.context.watermark()
    }

    /// The time of the batch.
    pub fn batch_time(&self) -> Timestamp {
        self.context.batch_time()
    }

    /// Calls again without rows once the watermark, or the batch's time, is after this, unless rows come before.
    ///
    /// # Errors
    /// As [`KeyContext::register_timer`].
    pub fn set_timeout(&mut self, at: Timestamp) -> Result<()> {
        self.clear_timeout();
        self.context.register_timer(at)
    }

    /// The same so long after the batch's time.
    ///
    /// # Errors
    /// As [`KeyContext::register_timer`].
    pub fn set_timeout_after(&mut self, wait: Duration) -> Result<()> {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        self.set_timeout(Timestamp(self.batch_time().0.saturating_add(wait)))
    }

    fn clear_timeout(&mut self) {
        let set: Vec<Timestamp> = self.context.timers().collect();
        for at in set {
            self.context.delete_timer(at);
        }
    }
}

type Types<K, T, S, O> = fn() -> (K, T, S, O);

/// The processor behind the short forms.
struct GroupsWithState<K, T, S, O, F> {
    f: F,
    of: PhantomData<Types<K, T, S, O>>,
}

impl<K, T, S, O, F> GroupsWithState<K, T, S, O, F>
where
    K: Row,
    T: Row,
    S: Row,
    O: Row,
    F: Fn(&K, Vec<T>, &mut GroupState<'_, '_, S>, &mut Vec<O>) -> Result<()> + Send + Sync + 'static,
{
    fn call(
        &self,
        value: ValueState<S>,
        key: &K,
        rows: Vec<T>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<O>,
    ) -> Result<()> {
        let timed_out = rows.is_empty();
        let mut state = GroupState { value, context, timed_out };
        state.clear_timeout();
        (self.f)(key, rows, &mut state, output)
    }
}

impl<K, T, S, O, F> StatefulProcessor for GroupsWithState<K, T, S, O, F>
where
    K: Row,
    T: Row,
    S: Row,
    O: Row,
    F: Fn(&K, Vec<T>, &mut GroupState<'_, '_, S>, &mut Vec<O>) -> Result<()> + Send + Sync + 'static,
{
    type Key = K;
    type Input = T;
    type Output = O;
    type State = ValueState<S>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.value("state", None)
    }

    fn handle_rows(
        &self,
        state: &Self::State,
        key: &K,
        rows: Vec<T>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<O>,
    ) -> Result<()> {
        self.call(*state, key, rows, context, output)
    }

    fn handle_timer(
        &self,
        state: &Self::State,
        key: &K,
        _at: Timestamp,
        context: &mut KeyContext<'_>,
        output: &mut Vec<O>,
    ) -> Result<()> {
        self.call(*state, key, Vec::new(), context, output)
    }
}

impl<K: Row, T: Row> KeyValueGroups<K, T> {
    /// Calls a function with the rows of each key and what is kept of it; it emits any number of rows. `timeout` says
    /// what [`GroupState::set_timeout`] goes by.
    ///
    /// # Errors
    /// As [`KeyValueGroups::transform_with_state`].
    pub fn flat_map_groups_with_state<S: Row, O: Row>(
        self,
        timeout: TimeMode,
        mode: OutputMode,
        f: impl Fn(&K, Vec<T>, &mut GroupState<'_, '_, S>) -> Result<Vec<O>> + Send + Sync + 'static,
    ) -> Result<DataFrame> {
        let f = move |key: &K, rows: Vec<T>, state: &mut GroupState<'_, '_, S>, output: &mut Vec<O>| {
            output.extend(f(key, rows, state)?);
            Ok(())
        };
        self.transform_with_state(GroupsWithState { f, of: PhantomData }, timeout, mode)
    }

    /// Calls a function with the rows of each key and what is kept of it; it emits one row, a new
    /// version of the one that was emitted for the key before ([`KeyValueGroups::transform_with_state`] in `Update` mode).
    ///
    /// # Errors
    /// As [`KeyValueGroups::transform_with_state`].
    pub fn map_groups_with_state<S: Row, O: Row>(
        self,
        timeout: TimeMode,
        f: impl Fn(&K, Vec<T>, &mut GroupState<'_, '_, S>) -> Result<O> + Send + Sync + 'static,
    ) -> Result<DataFrame> {
        let f = move |key: &K, rows: Vec<T>, state: &mut GroupState<'_, '_, S>, output: &mut Vec<O>| {
            output.push(f(key, rows, state)?);
            Ok(())
        };
        self.transform_with_state(GroupsWithState { f, of: PhantomData }, timeout, OutputMode::Update)
    }

    /// The new value of each key that has rows, from these and its old value; `None` forgets the key. Emits the key and
    /// the new value, as `_1` and `_2`.
    ///
    /// ```
    /// # use acequia::{Result, Session};
    /// # #[tokio::main]
    /// # async fn main() -> Result<()> {
    /// let session = Session::new()?;
    /// session.sql("CREATE STREAM payments (account VARCHAR, cents BIGINT)").await?;
    /// let balances = session
    ///     .table("payments")
    ///     .await?
    ///     .select(vec![datafusion::prelude::col("account").alias("_1"), datafusion::prelude::col("cents").alias("_2")])?
    ///     .group_by_key(|(account, _): &(String, i64)| account.clone())?
    ///     .update_state_by_key(|_, rows, balance: Option<&i64>| {
    ///         Some(balance.unwrap_or(&0) + rows.iter().map(|(_, cents)| cents).sum::<i64>())
    ///     })?;
    /// # let _ = balances;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`KeyValueGroups::transform_with_state`].
    pub fn update_state_by_key<S: Row + Clone>(
        self,
        f: impl Fn(&K, Vec<T>, Option<&S>) -> Option<S> + Send + Sync + 'static,
    ) -> Result<DataFrame>
    where
        K: Clone,
    {
        let f = move |key: &K, rows: Vec<T>, state: &mut GroupState<'_, '_, S>, output: &mut Vec<(K, S)>| {
            match f(key, rows, state.get()) {
                Some(value) => {
                    output.push((key.clone(), value.clone()));
                    state.set(value);
                }
                None => drop(state.take()),
            }
            Ok(())
        };
        self.transform_with_state(GroupsWithState { f, of: PhantomData }, TimeMode::None, OutputMode::Update)
    }
}

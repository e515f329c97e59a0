//! Random rows, splits, shards and restarts against what plain Rust gives.

use super::*;

/// Uses each kind of variable; what it emits for a row depends only on the rows of the key before it.
struct Histories;

struct HistoriesState {
    count: ValueState<i64>,
    last: ListState<i64>,
    seen: MapState<i64, (i64, Option<String>)>,
}

fn history(count: i64, last: &[i64], seen: &BTreeMap<i64, i64>) -> String {
    format!("{count} {last:?} {seen:?}")
}

impl StatefulProcessor for Histories {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = HistoriesState;

    fn init(&self, variables: &mut Variables) -> Result<HistoriesState> {
        Ok(HistoriesState {
            count: variables.value("count", None)?,
            last: variables.list("last", None)?,
            seen: variables.map("seen", None)?,
        })
    }

    fn handle_rows(
        &self,
        state: &HistoriesState,
        key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, _, number) in rows {
            let count = state.count.get(context).copied().unwrap_or(0) + 1;
            state.count.set(context, count);
            state.last.push(context, number);
            if state.last.iter(context).count() > 3 {
                let kept: Vec<i64> = state.last.take(context).split_off(1);
                kept.into_iter().for_each(|number| state.last.push(context, number));
            }
            let times = state.seen.get(context, &number).map_or(0, |seen| seen.0) + 1;
            state.seen.insert(context, number, (times, Some(number.to_string())));
            if number == 7 {
                assert_eq!(state.seen.remove(context, &number).map(|seen| seen.0), Some(times));
            }
            if number == 8 {
                state.count.take(context);
                state.last.take(context);
                state.seen.take(context);
            }
            let seen = state.seen.iter(context).map(|(number, seen)| (*number, seen.0)).collect();
            let last: Vec<i64> = state.last.iter(context).copied().collect();
            output.push((key.clone(), history(count, &last, &seen), number));
        }
        Ok(())
    }
}

type History = (i64, Vec<i64>, BTreeMap<i64, i64>);

fn histories_twin(rows: &[Input]) -> Vec<Output> {
    let mut keys: BTreeMap<&str, History> = BTreeMap::new();
    let mut output = Vec::new();
    for (key, _, number) in rows {
        let (count, last, seen) = keys.entry(key).or_default();
        *count += 1;
        let shown = *count;
        last.push(*number);
        if last.len() > 3 {
            last.remove(0);
        }
        *seen.entry(*number).or_default() += 1;
        if *number == 7 {
            seen.remove(number);
        }
        if *number == 8 {
            (*count, *last, *seen) = Default::default();
        }
        output.push((key.clone(), history(shown, last, seen), *number));
    }
    output.sort();
    output
}

#[tokio::test]
async fn any_split_shards_and_restarts_give_what_plain_rust_gives() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 120);
        let batches = cut(&rows, &mut random);
        let output = run_batches(|| Histories, TimeMode::None, &batches, &mut random, 0.5).await;
        assert_eq!(output, histories_twin(&rows), "seed {seed}");
    }
}

/// Sessions with a gap of 25: a timer at the end of each, moved by later rows.
pub(super) struct Sessions;

impl StatefulProcessor for Sessions {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = ListState<(i64, i64)>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.list("rows", None)
    }

    fn handle_rows(
        &self,
        rows_of: &Self::State,
        _key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        _output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, time, number) in rows {
            rows_of.push(context, (time, number));
            context.register_timer(Timestamp(time + 25))?;
        }
        Ok(())
    }

    fn handle_timer(
        &self,
        rows_of: &Self::State,
        key: &String,
        at: Timestamp,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        // A session ends when no row came within the gap; later rows have sessions of their own.
        let mut rows: Vec<(i64, i64)> = rows_of.take(context);
        rows.sort_unstable();
        let session_end = rows.iter().position(|row| row.0 > at.0).unwrap_or(rows.len());
        let last = rows[..session_end].last().map(|row| row.0);
        if last == Some(at.0 - 25) {
            let total = rows[..session_end].iter().map(|row| row.1).sum();
            output.push((key.clone(), format!("{}..{}", rows[0].0, at.0), total));
            rows.drain(..session_end);
        }
        rows.into_iter().for_each(|row| rows_of.push(context, row));
        Ok(())
    }
}

fn sessions_twin(rows: &[Input]) -> Vec<Output> {
    let mut keys: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    rows.iter().for_each(|(key, time, number)| keys.entry(key).or_default().push((*time, *number)));
    let mut output = Vec::new();
    for (key, mut rows) in keys {
        rows.sort_unstable();
        for session in rows.chunk_by(|a, b| b.0 <= a.0 + 25) {
            let (first, last) = (session[0].0, session[session.len() - 1].0);
            let total = session.iter().map(|row| row.1).sum();
            output.push((key.to_string(), format!("{first}..{}", last + 25), total));
        }
    }
    output.sort();
    output
}

#[tokio::test]
async fn sessions_by_timers_are_those_of_all_rows_at_once() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 150);
        let batches = cut(&rows, &mut random);
        let output = run_batches(|| Sessions, TimeMode::EventTime, &batches, &mut random, 0.3).await;
        assert_eq!(output, sessions_twin(&rows), "seed {seed}");
    }
}

/// The first row of a key and number passes; it is remembered for 2 ms.
struct FirstOfNumber;

impl StatefulProcessor for FirstOfNumber {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = MapState<i64, bool>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.map("seen", Some(Duration::from_micros(2_000)))
    }

    fn handle_rows(
        &self,
        seen: &Self::State,
        key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, time, number) in rows {
            if seen.get(context, &number).is_none() {
                output.push((key.clone(), time.to_string(), number));
            }
            // Being seen again renews it, if the number is even.
            if seen.get(context, &number).is_none() || number % 2 == 0 {
                seen.insert(context, number, true);
            }
        }
        Ok(())
    }
}

fn first_of_number_twin(batches: &[Batch]) -> Vec<Output> {
    let mut seen: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut output = Vec::new();
    for batch in batches {
        for (key, time, number) in &batch.rows {
            let until = seen.get(&(key.clone(), *number)).copied().filter(|until| *until > batch.time);
            if until.is_none() {
                output.push((key.clone(), time.to_string(), *number));
            }
            if until.is_none() || number % 2 == 0 {
                seen.insert((key.clone(), *number), batch.time + 2_000);
            }
        }
    }
    output.sort();
    output
}

#[tokio::test]
async fn what_expires_is_as_if_never_written() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 200);
        let batches = cut(&rows, &mut random);
        let output =
            run_batches(|| FirstOfNumber, TimeMode::ProcessingTime, &batches, &mut random, 0.3).await;
        assert_eq!(output, first_of_number_twin(&batches), "seed {seed}");
    }
}

//! Values of Rust types: every word of [`Dataset`] gives what iterators over the same values give, however they come.

use super::*;
use acequia::{Batch, ErrorKind, ForeachWriter, MemoryInput, RowCodec, UserError};
use chrono::{DateTime, NaiveDateTime, TimeDelta};
use futures::StreamExt;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Level {
    Info,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    host: String,
    rack: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Event {
    place: Place,
    level: Level,
    words: Vec<String>,
    size: i64,
    at: NaiveDateTime,
}

fn at(seconds: i64) -> NaiveDateTime {
    DateTime::UNIX_EPOCH.naive_utc() + TimeDelta::seconds(seconds)
}

fn events(rng: &mut SmallRng) -> Vec<Event> {
    let event = |n: i64, rng: &mut SmallRng| Event {
        place: Place {
            host: ["α", "b", ""][rng.random_range(0..3)].to_string(),
            rack: rng.random_bool(0.7).then(|| rng.random_range(0..2)),
        },
        level: if rng.random_bool(0.3) { Level::Error } else { Level::Info },
        words: (0..rng.random_range(0..4))
            .map(|_| ["owl", "Mouse", "fox"][rng.random_range(0..3)].to_string())
            .collect(),
        size: rng.random_range(-5..100),
        at: at(n * 7 + rng.random_range(0..5)),
    };
    (0..rng.random_range(1..60)).map(|n| event(n, rng)).collect()
}

/// The values of a query's result over these events, which come in random parts.
async fn run<T: acequia::Row>(
    rng: &mut SmallRng,
    events: &[Event],
    mode: OutputMode,
    query: impl AsyncFn(&Session, Dataset<Event>) -> acequia::Result<Dataset<T>>,
) -> Vec<T> {
    let session =
        Session::builder().shards(acequia::Shards::new(rng.random_range(1..4)).unwrap()).build().unwrap();
    let (input, values): (MemoryInput<Event>, _) = session.memory_stream("events").await.unwrap();
    let values = values.with_watermark("at", "0 seconds").unwrap();
    let result = query(&session, values).await.unwrap();
    let handle = result.write_stream().unwrap().output_mode(mode).to_table("result").await.unwrap();
    let mut rest = events;
    while !rest.is_empty() {
        let (part, others) = rest.split_at(rng.random_range(0..=rest.len().min(20)));
        input.append(part).unwrap();
        rest = others;
    }
    handle.process_all_available().await.unwrap();
    let rows = session.table("result").await.unwrap().as_dataset::<T>().unwrap().collect().await.unwrap();
    session.stop_all().await.unwrap();
    rows
}

fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort();
    values
}

fn reduced<K: Ord + Clone, V: Clone>(
    pairs: impl IntoIterator<Item = (K, V)>,
    f: impl Fn(V, V) -> V,
) -> Vec<(K, V)> {
    let mut all: BTreeMap<K, V> = BTreeMap::new();
    for (key, value) in pairs {
        let combined = match all.remove(&key) {
            Some(before) => f(before, value),
            None => value,
        };
        all.insert(key, combined);
    }
    all.into_iter().collect()
}

use OutputMode::{Append, Complete, Update};

#[tokio::test]
async fn values_are_mapped_and_filtered() {
    for seed in 0..5 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let events = events(&mut rng);
        let same = run(&mut rng, &events, Append, async |_, values| Ok(values)).await;
        assert_eq!(sorted(same), sorted(events.clone()), "seed {seed}");
        let larger = |event: Event| Event { size: event.size + 1, ..event };
        let mapped = run(&mut rng, &events, Append, async |_, values| {
            values.map(larger)?.filter(|event| event.size > 50)
        })
        .await;
        assert_eq!(
            sorted(mapped),
            sorted(events.iter().cloned().map(larger).filter(|e| e.size > 50)),
            "seed {seed}"
        );
        let words = run(&mut rng, &events, Append, async |_, values| {
            values.flat_map(|event| event.words)?.map(|word| word.to_lowercase())
        })
        .await;
        assert_eq!(
            sorted(words),
            sorted(events.iter().flat_map(|e| &e.words).map(|w| w.to_lowercase())),
            "seed {seed}"
        );
        let places = run(&mut rng, &events, Append, async |_, values| {
            values
                .flat_map(|event| (event.size > 20).then_some((event.place.rack, event.place)))?
                .map(|(rack, place)| (place.host, rack))
        })
        .await;
        let expected = events.iter().filter(|e| e.size > 20).map(|e| (e.place.host.clone(), e.place.rack));
        assert_eq!(sorted(places), sorted(expected), "seed {seed}");
        let both = run(&mut rng, &events, Append, async |_, values| {
            let levels = values.clone().map(|event| event.level)?;
            levels.union(values.map(|_| Level::Info)?)
        })
        .await;
        let expected = events.iter().flat_map(|e| [e.level.clone(), Level::Info]);
        assert_eq!(sorted(both), sorted(expected), "seed {seed}");
    }
}

#[tokio::test]
async fn values_are_reduced_and_counted() {
    for seed in 0..5 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let events = events(&mut rng);
        let largest = |a: Event, b: Event| a.max(b);
        for mode in [Complete, Update] {
            let found = run(&mut rng, &events, mode, async |_, values| values.reduce(largest)).await;
            assert_eq!(
                found,
                events.iter().cloned().reduce(largest).into_iter().collect::<Vec<_>>(),
                "seed {seed}"
            );
            let found = run(&mut rng, &events, mode, async |_, values| values.count()).await;
            assert_eq!(found, [events.len() as i64], "seed {seed}");
            let found =
                run(&mut rng, &events, mode, async |_, values| values.map(|e| e.place)?.count_by_value())
                    .await;
            let expected = reduced(events.iter().map(|e| (e.place.clone(), 1)), |a, b| a + b);
            assert_eq!(sorted(found), expected, "seed {seed}");
            let found = run(&mut rng, &events, mode, async |_, values| {
                values
                    .map(|e| (e.place, (e.size, 1_u32)))?
                    .reduce_by_key(|a, b| (a.0 + b.0, a.1 + b.1))?
                    .map_values(|(sum, n)| sum - i64::from(n))
            })
            .await;
            let expected = reduced(events.iter().map(|e| (e.place.clone(), e.size - 1)), |a, b| a + b);
            assert_eq!(sorted(found), expected, "seed {seed}");
            let found = run(&mut rng, &events, mode, async |_, values| {
                values.map(|e| (e.level, 0_u8))?.count_by_key()
            })
            .await;
            let expected = reduced(events.iter().map(|e| (e.level.clone(), 1)), |a, b| a + b);
            assert_eq!(sorted(found), expected, "seed {seed} {mode}");
        }
        let found =
            run(&mut rng, &events, Append, async |_, values| values.map(|e| e.place)?.distinct()).await;
        assert_eq!(
            sorted(found),
            events.iter().map(|e| e.place.clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
        // A reduction of what changes: the largest of the groups' counts.
        let found = run(&mut rng, &events, Complete, async |_, values| {
            values.map(|e| (e.place, 1_i64))?.reduce_by_key(|a, b| a + b)?.map(|(_, n)| n)?.reduce(i64::max)
        })
        .await;
        let counts = reduced(events.iter().map(|e| (e.place.clone(), 1)), |a, b| a + b);
        assert_eq!(
            found,
            counts.into_iter().map(|(_, n)| n).max().into_iter().collect::<Vec<i64>>(),
            "seed {seed}"
        );
    }
}

/// The windows of a time.
fn windows(time: NaiveDateTime, size: i64, slide: i64) -> impl Iterator<Item = Window> {
    let last = time.and_utc().timestamp().div_euclid(slide) * slide;
    let starts = (0..size / slide).map(move |n| last - n * slide);
    starts.map(move |start| Window { start: at(start), end: at(start + size) })
}

#[tokio::test]
async fn windows_of_event_time() {
    for seed in 0..5 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut events = events(&mut rng);
        events.sort_by_key(|event| event.at);
        let in_windows = |size, slide| {
            events.iter().flat_map(move |e| windows(e.at, size, slide).map(move |w| (w, e.clone())))
        };
        for mode in [Update, Complete] {
            let found = run(&mut rng, &events, mode, async |_, values| {
                values.map(|e| e.size)?.window("30 seconds")?.reduce(|a, b| a + b)
            })
            .await;
            let expected = reduced(in_windows(30, 30).map(|(w, e)| (w, e.size)), |a, b| a + b);
            assert_eq!(sorted(found), expected, "seed {seed} {mode}");
            let found = run(&mut rng, &events, mode, async |_, values| {
                values.sliding_window("1 minute", "20 seconds")?.count()
            })
            .await;
            assert_eq!(
                sorted(found),
                reduced(in_windows(60, 20).map(|(w, _)| (w, 1)), |a, b| a + b),
                "seed {seed}"
            );
            let found = run(&mut rng, &events, mode, async |_, values| {
                values.map(|e| e.level)?.sliding_window("1 minute", "20 seconds")?.count_by_value()
            })
            .await;
            let expected = reduced(in_windows(60, 20).map(|(w, e)| ((w, e.level), 1)), |a, b| a + b);
            assert_eq!(
                sorted(found),
                expected.into_iter().map(|((w, level), n)| (w, level, n)).collect::<Vec<_>>(),
                "seed {seed}"
            );
            let found = run(&mut rng, &events, mode, async |_, values| {
                values
                    .flat_map(|e| e.words)?
                    .map(|word| (word, 1_u64))?
                    .window("20 seconds")?
                    .reduce_by_key(|a, b| a + b)
            })
            .await;
            let words =
                in_windows(20, 20).flat_map(|(w, e)| e.words.into_iter().map(move |word| ((w, word), 1)));
            let expected = reduced(words, |a, b| a + b);
            assert_eq!(
                sorted(found),
                expected.into_iter().map(|((w, word), n)| (w, word, n)).collect::<Vec<_>>(),
                "seed {seed}"
            );
        }
        let found =
            run(&mut rng, &events, Append, async |_, values| values.window("30 seconds")?.count()).await;
        let final_ones = reduced(in_windows(30, 30).map(|(w, _)| (w, 1)), |a, b| a + b);
        let last = events.last().unwrap().at;
        assert_eq!(
            sorted(found),
            final_ones.into_iter().filter(|(w, _)| w.end <= last).collect::<Vec<_>>(),
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn pairs_are_joined() {
    type Joined = Vec<(String, (Option<i64>, Option<String>))>;
    for seed in 0..4 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let events = events(&mut rng);
        let sizes = |values: Dataset<Event>| values.filter(|e| e.size < 30)?.map(|e| (e.place.host, e.size));
        let words = |values: Dataset<Event>| {
            values.flat_map(|e| {
                e.words.into_iter().map(move |word| (e.place.host.clone(), word)).collect::<Vec<_>>()
            })
        };
        let left: Vec<(String, i64)> =
            events.iter().filter(|e| e.size < 30).map(|e| (e.place.host.clone(), e.size)).collect();
        let right: Vec<(String, String)> =
            events.iter().flat_map(|e| e.words.iter().map(|w| (e.place.host.clone(), w.clone()))).collect();
        let matched: Joined = left
            .iter()
            .flat_map(|(k, v)| {
                right
                    .iter()
                    .filter(move |r| r.0 == *k)
                    .map(move |r| (k.clone(), (Some(*v), Some(r.1.clone()))))
            })
            .collect();
        let lonely_left: Joined = left
            .iter()
            .filter(|l| !right.iter().any(|r| r.0 == l.0))
            .map(|l| (l.0.clone(), (Some(l.1), None)))
            .collect();
        let lonely_right: Joined = right
            .iter()
            .filter(|r| !left.iter().any(|l| l.0 == r.0))
            .map(|r| (r.0.clone(), (None, Some(r.1.clone()))))
            .collect();
        let inner = run(&mut rng, &events, Append, async |_, e| sizes(e.clone())?.join(words(e)?)).await;
        let inner: Joined = inner.into_iter().map(|(k, (v, w))| (k, (Some(v), Some(w)))).collect();
        assert_eq!(sorted(inner), sorted(matched.clone()), "seed {seed}");
        let outer =
            run(&mut rng, &events, Complete, async |_, e| sizes(e.clone())?.left_outer_join(words(e)?)).await;
        let outer: Joined = outer.into_iter().map(|(k, (v, w))| (k, (Some(v), w))).collect();
        assert_eq!(sorted(outer), sorted([matched.clone(), lonely_left.clone()].concat()), "seed {seed}");
        let outer =
            run(&mut rng, &events, Complete, async |_, e| sizes(e.clone())?.right_outer_join(words(e)?))
                .await;
        let outer: Joined = outer.into_iter().map(|(k, (v, w))| (k, (v, Some(w)))).collect();
        assert_eq!(sorted(outer), sorted([matched.clone(), lonely_right.clone()].concat()), "seed {seed}");
        let outer =
            run(&mut rng, &events, Complete, async |_, e| sizes(e.clone())?.full_outer_join(words(e)?)).await;
        assert_eq!(sorted(outer), sorted([matched, lonely_left, lonely_right].concat()), "seed {seed}");
    }
}

#[tokio::test]
async fn reductions_go_on_from_a_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let session = Session::new().unwrap();
    let (input, values) = session.memory_stream::<(String, Event)>("events").await.unwrap();
    let kept: Arc<Mutex<BTreeMap<String, Event>>> = Arc::default();
    let mut rng = SmallRng::seed_from_u64(1);
    let mut all = vec![];
    for _ in 0..8 {
        let keyed = events(&mut rng).into_iter().map(|e| (e.words.concat(), e)).collect::<Vec<_>>();
        input.append(&keyed).unwrap();
        all.extend(keyed);
        let largest = values.clone().reduce_by_key(|a, b| a.max(b)).unwrap();
        let own = Arc::clone(&kept);
        let writer = largest.write_stream().unwrap().output_mode(Update).trigger(Trigger::AvailableNow);
        let query = writer.checkpoint(place.path().to_str().unwrap()).foreach_batch(move |batch: Batch| {
            let kept = Arc::clone(&own);
            async move {
                kept.lock().extend(batch.values::<(String, Event)>()?);
                batch.deleted_values::<(String, Event)>().map(|gone| assert!(gone.is_empty()))
            }
        });
        query.await.unwrap().await_termination().await.unwrap();
    }
    assert_eq!(kept.lock().clone().into_iter().collect::<Vec<_>>(), reduced(all, Ord::max));
}

/// Keeps every value.
struct Kept(Arc<Mutex<Vec<(String, i64)>>>);

impl ForeachWriter<(String, i64)> for Kept {
    fn open(&mut self, _batch: acequia::BatchId) -> Result<bool, UserError> {
        Ok(true)
    }
    fn process(&mut self, value: (String, i64)) -> Result<(), UserError> {
        self.0.lock().push(value);
        Ok(())
    }
    fn close(&mut self, _error: Option<&UserError>) -> Result<(), UserError> {
        Ok(())
    }
}

#[tokio::test]
async fn values_leave_one_by_one_or_as_a_stream() {
    let session = Session::new().unwrap();
    let (input, values) = session.memory_stream::<(String, i64)>("pairs").await.unwrap();
    let kept = Arc::default();
    let query = values.clone().write_stream().unwrap().foreach_value(Kept(Arc::clone(&kept))).await.unwrap();
    let stream = values.map(|(_, n)| n).unwrap().write_stream().unwrap().to_stream().await.unwrap();
    input.append(&[("a".into(), 1), ("b".into(), 2)]).unwrap();
    input.append(&[("c".into(), 3)]).unwrap();
    query.process_all_available().await.unwrap();
    assert_eq!(*kept.lock(), [("a".to_string(), 1), ("b".to_string(), 2), ("c".to_string(), 3)]);
    let numbers: Vec<i64> = stream.values::<i64>().unwrap().take(3).map(Result::unwrap).collect().await;
    assert_eq!(numbers, [1, 2, 3]);
    let table = session.create_dataset(&[1_i64, 2, 3]).unwrap().map(|n| n * n).unwrap();
    assert_eq!(table.collect().await.unwrap(), [1, 4, 9]);
}

#[tokio::test]
async fn a_function_is_given_no_row_that_is_filtered_out_before() {
    let session = Session::new().unwrap();
    let (input, numbers) = session.memory_stream::<i64>("numbers").await.unwrap();
    let tenth = numbers.filter(|n| *n != 0).unwrap().filter(|n| 10 / n > 1).unwrap();
    let tenth = tenth.map(|n| 10 / n).unwrap().filter(|n| *n > 1).unwrap();
    let tenth = tenth.write_stream().unwrap().to_table("tenth").await.unwrap();
    input.append(&[0, 1, 2, 3, 100, 0]).unwrap();
    tenth.process_all_available().await.unwrap();
    let session_with_nulls = super::session().await;
    let session = &session_with_nulls;
    let known = session.table("sales").await.unwrap().filter(col("price").is_not_null()).unwrap();
    let known = known.select(vec![col("price").alias("value")]).unwrap().as_dataset::<i64>().unwrap();
    let query =
        known.filter(|price| *price > 4).unwrap().write_stream().unwrap().to_table("dear").await.unwrap();
    fill(session).await;
    query.process_all_available().await.unwrap();
    assert_eq!(table(session, "dear").await, ["| 5 |", "| 9 |"]);
}

#[tokio::test]
async fn windows_of_coarser_times_are_still_the_key() {
    #[derive(Serialize, Deserialize)]
    struct Sale {
        item: Option<String>,
    }
    let session = super::session().await;
    let sales = session.table("sales").await.unwrap().as_dataset::<Sale>().unwrap();
    let counts = sales.map(|sale| (sale.item.unwrap_or_default(), 1_i64)).unwrap().window("1 hour").unwrap();
    let counts = counts.reduce_by_key(|a, b| a + b).unwrap().write_stream().unwrap();
    counts.output_mode(Update).to_table("counts").await.unwrap();
    fill(&session).await;
    let counts = session.table("counts").await.unwrap().as_dataset::<(Window, String, i64)>().unwrap();
    assert_eq!(counts.collect().await.unwrap().iter().map(|(_, _, n)| n).sum::<i64>(), 6);
}

#[tokio::test]
async fn fields_of_what_is_none_are_null() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: i64,
        y: i64,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Named {
        k: i64,
        at: Option<Point>,
        all: Vec<Option<Point>>,
    }
    let session = Session::new().unwrap();
    let (input, named) = session.memory_stream::<Named>("named").await.unwrap();
    let rows = [
        Named { k: 1, at: None, all: vec![None, Some(Point { x: 7, y: 8 })] },
        Named { k: 2, at: Some(Point { x: 5, y: 6 }), all: vec![] },
    ];
    let frame =
        named.clone().into_frame().unwrap().select_expr(&["k", "at['x'] AS x", "all[1]['y'] AS y"]).unwrap();
    frame.write_stream().to_table("xs").await.unwrap();
    let same = named.map(|row| row).unwrap().write_stream().unwrap().to_table("same").await.unwrap();
    input.append(&rows).unwrap();
    session.process_all_available().await.unwrap();
    assert_eq!(table(&session, "xs").await, ["| 1 | | |", "| 2 | 5 | |"]);
    drop(same);
    assert_eq!(
        session.table("same").await.unwrap().as_dataset::<Named>().unwrap().collect().await.unwrap(),
        rows
    );
}

#[tokio::test]
async fn mistakes_of_types_and_panics_are_told() {
    let session = super::session().await;
    let sales = async || session.table("sales").await.unwrap();
    let error = sales().await.as_dataset::<(String,)>().unwrap_err();
    assert!(error.message().contains("no such column: `_1`; columns: shop, item"), "{error}");
    #[derive(Serialize, Deserialize)]
    struct Wrong {
        shop: i64,
    }
    let error = sales().await.as_dataset::<Wrong>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("column=`shop`"), "{error}");
    let error = sales().await.as_dataset::<Level>().unwrap_err();
    assert!(error.message().contains("`value`"), "{error}");
    let lossy = session.frame("SELECT 1e300 AS value").await.unwrap().as_dataset::<f32>().unwrap_err();
    assert!(lossy.message().contains("cast it"), "{lossy}");
    // SQL's TIMESTAMP has nanoseconds; Spark's, and the times of chrono as rows, microseconds.
    let finer = session.frame("SELECT arrow_cast(1001999, 'Timestamp(ns)') AS value").await.unwrap();
    let cut = finer.as_dataset::<NaiveDateTime>().unwrap().collect().await.unwrap();
    assert_eq!(cut[0].and_utc().timestamp_nanos_opt(), Some(1_001_000));
    let (old, _) = session.memory_stream::<i64>("replaced").await.unwrap();
    session.sql("DROP STREAM replaced").await.unwrap();
    let (_new, values) = session.memory_stream::<i64>("replaced").await.unwrap();
    let query = values.write_stream().unwrap().to_table("values").await.unwrap();
    old.append(&[1]).unwrap();
    query.process_all_available().await.unwrap();
    assert!(table(&session, "values").await.is_empty(), "rows of another stream");
    assert_eq!(RowCodec::<u128>::try_new().unwrap_err().kind(), ErrorKind::Unsupported);
    #[derive(Serialize, Deserialize)]
    struct Sale {
        shop: String,
        price: i64,
    }
    let unsteady =
        sales().await.as_dataset::<Sale>().unwrap().map(|sale| sale.shop.len() as i64 / sale.price).unwrap();
    let query = unsteady.write_stream().unwrap().format("blackhole").start().await.unwrap();
    session.sql("INSERT INTO sales (shop, price) VALUES ('a', 0)").await.unwrap();
    let error = query.await_termination().await.unwrap_err();
    assert!(error.message().contains("panicked") && error.message().contains("divide by zero"), "{error}");
    let strict = sales().await.as_dataset::<Sale>().unwrap().map(|sale| sale.shop).unwrap();
    let query = strict.write_stream().unwrap().format("blackhole").start().await.unwrap();
    session.sql("INSERT INTO sales (price) VALUES (1)").await.unwrap();
    let error = query.await_termination().await.unwrap_err();
    assert!(error.message().contains("column=`shop`"), "{error}");
    let timeless = session.memory_stream::<i64>("timeless").await.unwrap().1.window("1 minute").unwrap_err();
    assert!(timeless.message().contains("with_watermark()"), "{timeless}");
}

#[tokio::test]
async fn static_values_have_a_name_of_their_own_so_joins_and_fields_can_be_told_apart() {
    #[derive(Serialize, Deserialize)]
    struct Person {
        id: i64,
        name: Name,
    }
    #[derive(Serialize, Deserialize)]
    struct Name {
        first: String,
    }
    let session = Session::new().unwrap();
    let person = |id, first: &str| Person { id, name: Name { first: first.to_string() } };
    let people = session.create_dataset(&[person(1, "Ann"), person(2, "Bo")]).unwrap().into_frame().unwrap();
    let first = people.clone().select_expr(&["name['first'] AS first"]).unwrap();
    assert_eq!(lines(&first.collect().await.unwrap()), ["| Ann |", "| Bo |"]);
    let others = session.create_dataset(&[(2_i64, 20_i64), (3, 30)]).unwrap().into_frame().unwrap();
    let more = session.create_dataset(&[(2_i64, 21_i64)]).unwrap().into_frame().unwrap();
    let joined = others.join(more, JoinType::Inner, &["_1"]).unwrap();
    assert_eq!(lines(&joined.collect().await.unwrap()), ["| 2 | 20 | 21 |"]);
    let named = people.join_on(
        session.create_dataset(&[(2_i64, 20_i64)]).unwrap().into_frame().unwrap(),
        JoinType::Inner,
        vec![col("id").eq(col("_1"))],
    );
    let named = named.unwrap().select_expr(&["name['first'] AS first", "_2"]).unwrap();
    assert_eq!(lines(&named.collect().await.unwrap()), ["| Bo | 20 |"]);
}

use super::*;
use acequia_core::conformance::source::{Fixture, run};
use acequia_core::{Clock, ErrorKind, ManualClock, Timestamp};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMillisecondType};
use std::collections::HashMap;
use std::time::Duration;

/// A source that makes its rows by itself, or with the hands of a clock.
struct Generated {
    connector: &'static str,
    options: Vec<(&'static str, &'static str)>,
    clock: Option<ManualClock>,
}

impl Fixture for Generated {
    async fn open(&self, mut context: SourceContext) -> Result<Box<dyn Source>> {
        if let Some(clock) = &self.clock {
            context.clock = Arc::new(clock.clone());
        }
        open(self.connector, &spec(&self.options), &context).await
    }

    async fn feed(&mut self) {
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_millis(1700));
        }
    }

    fn bounded(&self) -> bool {
        self.clock.is_none()
    }
}

#[tokio::test]
async fn generated_sources_keep_the_contract() {
    let clock = || Some(ManualClock::at(Timestamp(1_700_000_000_000_000)));
    let rate = |options, clock| Generated { connector: "rate", options, clock };
    run(rate(vec![("rows_per_second", "10")], clock())).await;
    run(rate(
        vec![("rows_per_second", "100"), ("ramp_up_time", "3 seconds"), ("max_rows_per_batch", "7")],
        clock(),
    ))
    .await;
    run(rate(vec![("rows_per_batch", "20000"), ("num_rows", "50000")], None)).await;

    let nexmark = |options, clock| Generated { connector: "nexmark", options, clock };
    for table in ["person", "auction", "bid", "event"] {
        run(nexmark(vec![("table", table), ("events", "30000"), ("max_rows_per_batch", "13000")], None))
            .await;
    }
    run(nexmark(vec![("table", "bid"), ("paced", "true"), ("events_per_second", "100")], clock())).await;
    run(nexmark(vec![("table", "bid"), ("events", "5000"), ("out_of_order_group_size", "64")], None)).await;
}

#[tokio::test]
async fn rate_gives_exactly_the_rows_of_its_pace_and_goes_on_after_a_restart() {
    let clock = ManualClock::at(Timestamp(1_000_000_000));
    let context = SourceContext { clock: Arc::new(clock.clone()), ..context() };
    let spec = spec(&[("rows_per_second", "4")]);
    let mut source = open("rate", &spec, &context).await.unwrap();
    assert_eq!(source.next_offset(None).await.unwrap(), Advance::Idle);
    clock.advance(Duration::from_millis(749));
    let end = next(source.as_mut(), None).await;
    assert_eq!(end, Offset(2.into()));
    drop(source);

    clock.advance(Duration::from_millis(1));
    let mut source = open("rate", &spec, &context).await.unwrap();
    let all = next(source.as_mut(), Some(&end)).await;
    assert_eq!(all, Offset(3.into()), "the start of the first run counts");
    let rows = read(source.as_ref(), None, &all).await;
    let times: Vec<_> = rows.column(0).as_primitive::<TimestampMillisecondType>().values().to_vec();
    assert_eq!(times, [1_000_000, 1_000_250, 1_000_500]);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values().to_vec(), [0, 1, 2]);
}

#[tokio::test]
async fn rate_per_batch_advances_with_batches_only() {
    let spec = spec(&[
        ("rows_per_batch", "2"),
        ("advance_per_batch", "10 seconds"),
        ("start_time", "1970-01-01 00:01:00"),
    ]);
    let mut source = open("rate", &spec, &context()).await.unwrap();
    let first = next(source.as_mut(), None).await;
    let second = next(source.as_mut(), Some(&first)).await;
    let rows = read(source.as_ref(), None, &second).await;
    let times: Vec<_> = rows.column(0).as_primitive::<TimestampMillisecondType>().values().to_vec();
    assert_eq!(times, [60_000, 60_000, 70_000, 70_000]);
    source.stop_at_available(Some(&second)).await.unwrap();
    let last = next(source.as_mut(), Some(&second)).await;
    assert_eq!(source.next_offset(Some(&last)).await.unwrap(), Advance::Ended);
}

#[tokio::test]
async fn num_rows_ends_the_stream() {
    let clock = ManualClock::default();
    let context = SourceContext { clock: Arc::new(clock.clone()), ..context() };
    let mut source = open("rate", &spec(&[("num_rows", "5")]), &context).await.unwrap();
    clock.set(Timestamp(60_000_000));
    assert!(clock.now() > Timestamp(0));
    let end = next(source.as_mut(), None).await;
    assert_eq!(end, Offset(5.into()));
    assert_eq!(source.next_offset(Some(&end)).await.unwrap(), Advance::Ended);
}

#[tokio::test]
async fn declared_columns_are_found_by_name_and_cast() {
    let mut spec = spec(&[("table", "bid"), ("events", "1000")]);
    spec.declared = Some(schema(vec![
        Field::new("date_time", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        Field::new("price", DataType::Int32, false),
        Field::new("url", DataType::Utf8View, true),
    ]));
    let mut source = open("nexmark", &spec, &context()).await.unwrap();
    let end = next(source.as_mut(), None).await;
    let rows = read(source.as_ref(), None, &end).await;
    assert_eq!((rows.schema(), rows.num_rows()), (spec.declared.clone().unwrap(), 920));

    spec.declared = Some(schema(vec![Field::new("pirce", DataType::Int64, true)]));
    assert_eq!(
        describe_error("nexmark", &spec).await.message(),
        "unknown column of stream `s`: `pirce`; did you mean `price`?"
    );
}

#[tokio::test]
async fn wrong_options_are_refused_when_described() {
    for (connector, options, message) in [
        (
            "rate",
            vec![("rows_per_secnd", "1")],
            "unknown option of stream `s`: `rows_per_secnd`; did you mean `rows_per_second`?",
        ),
        (
            "rate",
            vec![("rows_per_second", "0")],
            "option `rows_per_second` of stream `s` must be a whole number of at least 1: `0`",
        ),
        ("nexmark", vec![], "missing option: `table` of stream `s`; write table = '...'"),
        (
            "nexmark",
            vec![("table", "bit")],
            "unknown value of option `table` of stream `s`: `bit`; did you mean `bid`?",
        ),
        (
            "nexmark",
            vec![("table", "bid"), ("out_of_order_group_size", "1906")],
            "option `out_of_order_group_size` of stream `s` must be below 2^32 and no multiple of 953: `1906`",
        ),
        (
            "nexmark",
            vec![("table", "bid"), ("base_time", "yesterday")],
            "option `base_time` of stream `s` must be an instant, as '2015-07-15 00:00:00': `yesterday`",
        ),
    ] {
        let error = describe_error(connector, &spec(&options)).await;
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, message));
    }
    let mut with_metadata = spec(&[]);
    with_metadata.metadata.push(("partition".into(), Field::new("p", DataType::Int32, true)));
    let message = describe_error("rate", &with_metadata).await.message().to_string();
    assert_eq!(message, "unknown metadata of connector `rate` in stream `s`: `partition`; there is none");
    let message = connector("nexmrk").unwrap_err().message().to_string();
    assert_eq!(message, "unknown connector: `nexmrk`; did you mean `nexmark`?");
}

async fn table(name: &str, more: &[(&str, &str)], from: u64, to: u64) -> RecordBatch {
    let mut options = vec![("table", name), ("events", "1000000")];
    options.extend(more);
    let source = open("nexmark", &spec(&options), &context()).await.unwrap();
    read(source.as_ref(), Some(&Offset(from.into())), &Offset(to.into())).await
}

fn longs(rows: &RecordBatch, column: &str) -> Vec<i64> {
    rows.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn nexmark_rows_do_not_depend_on_where_a_range_is_cut() {
    for more in [vec![], vec![("out_of_order_group_size", "100"), ("seed", "7")]] {
        for name in ["person", "auction", "bid", "event"] {
            let whole = table(name, &more, 0, 3_000).await;
            for cut in [1, 49, 50, 51, 777, 2_999] {
                let parts = [table(name, &more, 0, cut).await, table(name, &more, cut, 3_000).await];
                assert_eq!(concat_batches(&whole.schema(), &parts).unwrap(), whole, "{name} cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn nexmark_columns_do_not_depend_on_the_projection() {
    let source =
        open("nexmark", &spec(&[("table", "auction"), ("events", "5000")]), &context()).await.unwrap();
    let end = Offset(5000.into());
    let whole = read(source.as_ref(), None, &end).await;
    for column in 0..whole.num_columns() {
        let one = try_read(source.as_ref(), None, &end, Some(&[column]), &Arc::default()).await.unwrap();
        assert_eq!(one, whole.project(&[column]).unwrap());
    }
}

#[tokio::test]
async fn nexmark_keeps_the_proportions_and_hot_shares_of_the_original() {
    let (person, auction, bid) = (
        table("person", &[], 0, 200_000).await,
        table("auction", &[], 0, 200_000).await,
        table("bid", &[], 0, 200_000).await,
    );
    assert_eq!([&person, &auction, &bid].map(|t| t.num_rows()), [4_000, 12_000, 184_000]);

    let share = |n: usize, of: usize| n as f64 / of as f64;
    let hot = |column: Vec<i64>, rest: i64| {
        share(column.iter().filter(|id| **id % 100 == rest).count(), column.len())
    };
    let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 0.01, "{got} {wanted}");
    near(hot(longs(&bid, "auction"), 0), 0.5 + 0.5 / 100.0);
    near(hot(longs(&bid, "bidder"), 1), 0.75 + 0.25 / 100.0);
    near(hot(longs(&auction, "seller"), 0), 0.75 + 0.25 / 100.0);

    let people: std::collections::HashSet<i64> = longs(&person, "id").into_iter().collect();
    let bidders = longs(&bid, "bidder");
    assert!(
        share(bidders.iter().filter(|b| people.contains(b)).count(), bidders.len()) > 0.95,
        "joins match"
    );

    let mut channels: HashMap<&str, usize> = HashMap::new();
    bid.column_by_name("channel")
        .unwrap()
        .as_string::<i32>()
        .iter()
        .flatten()
        .for_each(|c| *channels.entry(c).or_default() += 1);
    for name in ["Google", "Facebook", "Baidu", "Apple"] {
        near(share(channels[name], bid.num_rows()), 0.125);
    }
    let urls = bid.column_by_name("url").unwrap().as_string::<i32>();
    let with_id = urls.iter().flatten().filter(|u| u.contains("&channel_id=")).count();
    near(share(with_id, bid.num_rows()), 0.45);

    let prices = longs(&bid, "price");
    assert!(prices.iter().all(|p| (100..=100_000_000).contains(p)));
    near(share(prices.iter().filter(|p| **p < 100_000).count(), prices.len()), 0.5);
    let (initial, reserve) = (longs(&auction, "initial_bid"), longs(&auction, "reserve"));
    assert!(initial.iter().zip(&reserve).all(|(i, r)| *r >= i + 100));
    assert!(longs(&auction, "category").iter().all(|c| (10..15).contains(c)));
}

#[tokio::test]
async fn nexmark_rows_have_the_average_size_of_the_original() {
    for (name, wanted) in [("person", 200.0), ("auction", 500.0)] {
        let rows = table(name, &[], 0, 100_000).await;
        let bytes: usize = rows
            .columns()
            .iter()
            .map(|c| match c.data_type() {
                DataType::Utf8 => c.as_string::<i32>().values().len(),
                _ => 8 * c.len(),
            })
            .sum();
        let average = bytes as f64 / rows.num_rows() as f64;
        assert!((average - wanted).abs() < wanted * 0.06, "{name} {average}");
    }
    let extra = table("bid", &[], 0, 100_000).await;
    let extra = extra.column_by_name("extra").unwrap().as_string::<i32>();
    let average = extra.values().len() as f64 / extra.len() as f64;
    assert!((average - 68.0).abs() < 1.0, "{average}");
}

#[tokio::test]
async fn nexmark_times_follow_the_event_number() {
    let more = [("events_per_second", "1000"), ("base_time", "2020-01-01 00:00:00")];
    let bid = table("bid", &more, 0, 100).await;
    let times: Vec<_> =
        bid.column_by_name("date_time").unwrap().as_primitive::<TimestampMillisecondType>().values().to_vec();
    assert_eq!((times[0], times[91]), (1_577_836_800_004, 1_577_836_800_099));
    let auction = table("auction", &more, 0, 10_000).await;
    let time = |c: &str| {
        auction.column_by_name(c).unwrap().as_primitive::<TimestampMillisecondType>().values().to_vec()
    };
    let lengths: Vec<_> = time("expires").iter().zip(time("date_time")).map(|(e, t)| e - t).collect();
    assert!(lengths.iter().all(|l| (1..=2 * 1_666).contains(l)));
    assert!(lengths.iter().any(|l| *l > 2_500));
    assert_ne!(table("bid", &[("seed", "1")], 0, 100).await, table("bid", &[("seed", "2")], 0, 100).await);
}

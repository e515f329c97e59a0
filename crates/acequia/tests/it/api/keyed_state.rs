//! Programs with state over streams, from the frame to the table and the checkpoint.

use super::*;
use acequia::arrow::array::AsArray;
use acequia::arrow::datatypes::Int64Type;
use acequia::{
    BatchId, ErrorKind, InitialState, KeyContext, ManualClock, MapState, Result, StatefulProcessor, TimeMode,
    Timestamp, ValueState, Variables,
};
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sale {
    shop: Option<String>,
    item: String,
    price: Option<i64>,
}

/// What was sold per item in a shop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sold {
    shop: Option<String>,
    item: String,
    times: i64,
    total: i64,
}

/// Counts what a shop sells, item by item.
struct Items;

impl StatefulProcessor for Items {
    type Key = Option<String>;
    type Input = Sale;
    type Output = Sold;
    type State = MapState<String, (i64, i64)>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.map("items", None)
    }

    fn handle_rows(
        &self,
        items: &Self::State,
        shop: &Option<String>,
        rows: Vec<Sale>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Sold>,
    ) -> Result<()> {
        for sale in rows {
            let (times, total) = items.get(context, &sale.item).copied().unwrap_or_default();
            let sold = (times + 1, total + sale.price.unwrap_or(0));
            items.insert(context, sale.item.clone(), sold);
            output.push(Sold { shop: shop.clone(), item: sale.item, times: sold.0, total: sold.1 });
        }
        Ok(())
    }
}

impl InitialState for Items {
    type Initial = Sold;

    fn handle_initial_state(
        &self,
        items: &Self::State,
        _shop: &Option<String>,
        row: Sold,
        context: &mut KeyContext<'_>,
    ) -> Result<()> {
        items.insert(context, row.item, (row.times, row.total));
        Ok(())
    }
}

async fn items(session: &Session, mode: OutputMode) -> DataFrame {
    let groups = session.table("sales").await.unwrap().group_by_key(|sale: &Sale| sale.shop.clone()).unwrap();
    groups.transform_with_state(Items, TimeMode::None, mode).unwrap()
}

const SOLD: [&str; 6] = [
    "| north | pie | 1 | 0 |",
    "| north | tea | 1 | 3 |",
    "| north | tea | 2 | 6 |",
    "| south | jam | 1 | 9 |",
    "| south | tea | 1 | 4 |",
    "| | tea | 1 | 5 |",
];

fn sorted(rows: &[&str]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn rows_of_each_key_are_handled_and_state_and_plan_are_seen() {
    for shards in [1, 4] {
        let session = session().await;
        session.sql(&format!("SET acequia.shards = {shards}")).await.unwrap();
        let frame = items(&session, OutputMode::Append).await;
        let explained = frame.explain(None).await.unwrap();
        let expected =
            "transform_with_state#0: processor=Items, keeps=[map items], timers=none, emits=new rows";
        assert!(explained.contains(expected), "{explained}");
        assert_eq!(explained.contains("shards=4 by=[key]"), shards == 4, "{explained}");
        frame.write_stream().query_name("q").to_table("sold").await.unwrap();
        fill(&session).await;
        assert_eq!(table(&session, "sold").await, sorted(&SOLD));
        let state = session
            .frame("SELECT \"table\", \"row\" FROM state('q')")
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let state = lines(&state);
        assert_eq!(state.len(), 5, "{state:?}");
        let tea =
            r#"| items | {"key":"north","map_key":"tea","expires_at":null,"value._1":2,"value._2":6} |"#;
        assert!(state.contains(&tea.to_string()), "{state:?}");
        session.stop_all().await.unwrap();
    }
}

#[tokio::test]
async fn an_aggregate_reads_what_is_emitted_in_append_mode() {
    let session = session().await;
    let frame = items(&session, OutputMode::Append).await;
    let counted = frame.group_by(vec![col("item")]).agg(vec![count(lit(1)).alias("n")]).unwrap();
    counted.write_stream().output_mode(OutputMode::Update).to_table("counted").await.unwrap();
    fill(&session).await;
    assert_eq!(table(&session, "counted").await, sorted(&["| jam | 1 |", "| pie | 1 |", "| tea | 4 |"]));
}

#[tokio::test]
async fn the_initial_state_comes_before_the_rows_of_its_key() {
    let late = "| north | tea | 12 | 106 |";
    let expected = [
        "| north | pie | 1 | 0 |",
        "| north | tea | 11 | 103 |",
        late,
        "| south | jam | 1 | 9 |",
        "| south | tea | 1 | 4 |",
        "| | tea | 2 | 6 |",
    ];
    for time in [TimeMode::None, TimeMode::EventTime] {
        let session = session().await;
        session
            .sql("CREATE TABLE before (shop VARCHAR, item VARCHAR, times BIGINT, total BIGINT) AS VALUES ('north', 'tea', 10, 100), (NULL, 'tea', 1, 1), ('west', 'jam', 2, 2)")
            .await
            .unwrap();
        let groups =
            session.table("sales").await.unwrap().group_by_key(|sale: &Sale| sale.shop.clone()).unwrap();
        let before = session.table("before").await.unwrap();
        let frame = groups
            .transform_with_initial_state(Items, time, OutputMode::Append, before, |row| row.shop.clone())
            .unwrap();
        frame.write_stream().query_name("q").to_table("sold").await.unwrap();
        session.process_all_available().await.unwrap();
        let state = "SELECT \"row\" FROM state('q') WHERE \"row\" LIKE '%west%'";
        assert_eq!(session.frame(state).await.unwrap().collect().await.unwrap()[0].num_rows(), 1);
        fill(&session).await;
        let mut expected = sorted(&expected);
        // A row below the watermark is late where timers go by it.
        expected.retain(|row| time == TimeMode::None || row != late);
        assert_eq!(table(&session, "sold").await, expected, "{time}");
    }
}

async fn refusal(frame: Result<DataFrame>, mode: OutputMode) -> String {
    let error = match frame {
        Ok(frame) => frame.explain(Some(mode)).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Invalid), "{error:?}");
    error.message().to_string()
}

#[tokio::test]
async fn what_cannot_be_is_refused_when_it_is_planned() {
    use OutputMode::{Append, Changes, Complete, Update};
    let session = session().await;
    let groups = async |sql: &str| {
        let frame = session.frame(sql).await.unwrap();
        frame.group_by_key(|sale: &Sale| sale.shop.clone())
    };
    let items_of = async |sql: &str, time: TimeMode, mode: OutputMode| {
        groups(sql).await.and_then(|groups| groups.transform_with_state(Items, time, mode))
    };
    let totals = "SELECT shop, item, sum(price) AS price FROM sales GROUP BY shop, item";
    let refused = refusal(items_of(totals, TimeMode::None, Update).await, Update).await;
    assert!(refused.contains("a processor with state handles rows that stay"), "{refused}");
    for mode in [Append, Changes, Complete] {
        let refused = refusal(items_of("SELECT * FROM sales", TimeMode::None, Update).await, mode).await;
        assert!(refused.contains("emits in UPDATE mode gives rows that replace others"), "{mode}: {refused}");
    }
    let above = items_of("SELECT * FROM sales", TimeMode::None, Update)
        .await
        .and_then(|f| f.group_by(vec![col("item")]).count());
    let refused = refusal(above, Update).await;
    assert!(
        refused.contains("nothing that keeps state can read a processor that emits in UPDATE mode"),
        "{refused}"
    );
    let twice = items_of("SELECT * FROM sales", TimeMode::None, Update).await;
    let twice = twice.and_then(|frame| frame.select_expr(&["shop", "item", "total AS price"]));
    let twice = twice.and_then(|frame| frame.group_by_key(|sale: &Sale| sale.item.clone()));
    let twice = twice.and_then(|groups| groups.update_state_by_key(|_, _, _: Option<&i64>| None));
    let refused = refusal(twice, Update).await;
    assert!(refused.contains("nothing that keeps state can read a processor"), "{refused}");
    let unmarked = "SELECT shop, item, max(price) AS price FROM sales GROUP BY shop, item";
    let refused = refusal(items_of(unmarked, TimeMode::EventTime, Append).await, Append).await;
    assert!(
        refused.contains("incremental") || refused.contains("final") || refused.contains("APPEND"),
        "{refused}"
    );
    session.sql("CREATE STREAM plain (shop VARCHAR, item VARCHAR, price BIGINT)").await.unwrap();
    let refused = refusal(items_of("SELECT * FROM plain", TimeMode::EventTime, Append).await, Append).await;
    assert!(refused.contains("timers of event time need the event-time column"), "{refused}");
    let refused = refusal(items_of("SELECT * FROM cities", TimeMode::None, Append).await, Append).await;
    assert!(refused.contains("no such column: `item`; columns: shop, city"), "{refused}");
    let table = "SELECT shop, 'x' AS item, 1 AS price FROM cities";
    let refused = refusal(items_of(table, TimeMode::None, Append).await, Append).await;
    assert!(refused.contains("on a stream only"), "{refused}");
    let refused = refusal(items_of("SELECT * FROM sales", TimeMode::None, Complete).await, Append).await;
    assert!(refused.contains("emits in APPEND or UPDATE mode"), "{refused}");
    let typed = "SELECT shop, price AS item, 1 AS price FROM sales";
    let refused = refusal(items_of(typed, TimeMode::None, Append).await, Append).await;
    assert!(refused.contains("column=`item` type=`Int64` expected=`Utf8`"), "{refused}");
}

/// The last price of an item, told when it was not sold for ten seconds of the clock.
#[tokio::test]
async fn a_timeout_of_processing_time_comes_without_data() {
    let clock = ManualClock::at(Timestamp(1_000_000_000));
    let session = Session::builder().clock(Arc::new(clock.clone())).build().unwrap();
    session.sql("CREATE STREAM sales (shop VARCHAR, item VARCHAR, price BIGINT)").await.unwrap();
    let groups = session.table("sales").await.unwrap().group_by_columns::<String, Sale>(&["item"]).unwrap();
    let idle = groups
        .flat_map_groups_with_state(TimeMode::ProcessingTime, OutputMode::Append, |item, rows, state| {
            if state.has_timed_out() {
                return Ok(vec![(item.clone(), state.take())]);
            }
            if let Some(price) = rows.iter().rev().find_map(|sale| sale.price) {
                state.set(price);
            }
            state.set_timeout_after(Duration::from_secs(10))?;
            Ok(vec![])
        })
        .unwrap();
    let query = idle.write_stream().to_table("idle").await.unwrap();
    let sell = async |rows: &str| {
        session.sql(&format!("INSERT INTO sales VALUES {rows}")).await.unwrap();
        session.process_all_available().await.unwrap();
    };
    sell("('a', 'tea', 3), ('b', 'tea', 4), ('a', 'pie', 1)").await;
    clock.advance(Duration::from_secs(9));
    sell("('a', 'pie', 2)").await;
    clock.advance(Duration::from_secs(1));
    session.process_all_available().await.unwrap();
    assert_eq!(table(&session, "idle").await, Vec::<String>::new());
    clock.advance(Duration::from_micros(1));
    session.process_all_available().await.unwrap();
    assert_eq!(table(&session, "idle").await, ["| tea | 4 |"]);
    clock.advance(Duration::from_secs(60));
    session.process_all_available().await.unwrap();
    assert_eq!(table(&session, "idle").await, ["| pie | 2 |", "| tea | 4 |"]);
    let batches = query.recent_progress().len();
    clock.advance(Duration::from_secs(60));
    session.process_all_available().await.unwrap();
    assert_eq!(query.recent_progress().len(), batches, "nothing is due any more");
}

#[tokio::test]
async fn short_forms_replace_the_row_of_a_key() {
    let session = session().await;
    let balances =
        session.table("sales").await.unwrap().group_by_columns::<Option<String>, Sale>(&["shop"]).unwrap();
    let balances = balances
        .update_state_by_key(|_, rows, total: Option<&i64>| {
            let total = total.unwrap_or(&0) + rows.iter().filter_map(|sale| sale.price).sum::<i64>();
            (total < 9).then_some(total)
        })
        .unwrap();
    // The event time goes along when values become others, so what is late is the same.
    let all = session.table("sales").await.unwrap().as_dataset::<Sale>().unwrap();
    let all = all.map(|sale| sale.item).unwrap().group_by_key(|_| 0_i64).unwrap();
    let all = all
        .map_groups_with_state(TimeMode::EventTime, |_, rows, state| {
            let seen = state.get().unwrap_or(&0) + rows.len() as i64;
            state.set(seen);
            Ok((seen, state.watermark().map(|at| at.to_iso())))
        })
        .unwrap();
    let latest = balances.clone().write_stream().output_mode(OutputMode::Update).key(["_1"]);
    latest.to_table("latest").await.unwrap();
    for (frame, name) in [(balances, "balances"), (all, "all_sales")] {
        frame.write_stream().output_mode(OutputMode::Update).to_table(name).await.unwrap();
    }
    fill(&session).await;
    assert_eq!(table(&session, "latest").await, sorted(&["| north | 6 |", "| south | 4 |", "| | 5 |"]));
    // Every version that was written; south's second sum is too large, which forgets it.
    let versions = ["| north | 3 |", "| north | 6 |", "| south | 4 |", "| | 5 |"];
    assert_eq!(table(&session, "balances").await, sorted(&versions));
    // The third batch repeats a row of 10:00:00, which is late by then.
    let versions = ["| 2 | |", "| 4 | 2026-01-01T10:00:10Z |", "| 5 | 2026-01-01T10:08:00Z |"];
    assert_eq!(table(&session, "all_sales").await, sorted(&versions));
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bid {
    auction: i64,
    bidder: i64,
    price: i64,
}

/// The running number and sum of bids of each bidder.
struct Running;

impl StatefulProcessor for Running {
    type Key = i64;
    type Input = Bid;
    type Output = (i64, i64, i64);
    type State = ValueState<(i64, i64)>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.value("running", None)
    }

    fn handle_rows(
        &self,
        running: &Self::State,
        key: &i64,
        rows: Vec<Bid>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<(i64, i64, i64)>,
    ) -> Result<()> {
        for bid in rows {
            let (count, sum) = running.get(context).copied().unwrap_or_default();
            running.set(context, (count + 1, sum + bid.price));
            output.push((*key, count + 1, sum + bid.price));
        }
        Ok(())
    }
}

/// What is kept after these bids.
fn state_after(bids: &[Bid]) -> Vec<String> {
    let mut sums: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for bid in bids {
        let (count, sum) = sums.entry(bid.bidder % 9).or_default();
        (*count, *sum) = (*count + 1, *sum + bid.price);
    }
    sums.iter().map(|(key, (count, sum))| format!("| {key} | {count} | {sum} |")).collect()
}

/// What the last of these bids emits.
fn running_after(bids: &[Bid]) -> String {
    let own = format!("| {} |", bids[bids.len() - 1].bidder % 9);
    state_after(bids).into_iter().find(|row| row.starts_with(&own)).unwrap()
}

const BIDS: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3))
WITH (connector = 'nexmark', table = 'bid', events = '3000', events_per_second = '20', max_rows_per_batch = '400', seed = '1');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_stopped_goes_on_from_its_checkpoint() {
    let session = Session::new().unwrap();
    session.sql(BIDS).await.unwrap();
    let all = session.table("b").await.unwrap().write_stream().to_table("all_bids").await.unwrap();
    all.await_termination().await.unwrap();
    let rows = session.table("all_bids").await.unwrap().collect().await.unwrap();
    let codec = acequia::RowCodec::<Bid>::try_new().unwrap();
    let bids: Vec<Bid> = rows.iter().flat_map(|rows| codec.decode(rows).unwrap()).collect();
    let mut expected: Vec<String> = (1..=bids.len()).map(|n| running_after(&bids[..n])).collect();
    expected.sort();
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let mut runs = 0;
    loop {
        runs += 1;
        let session = Session::new().unwrap();
        session.sql(&format!("SET acequia.shards = {}; {BIDS}", [1, 4, 2][runs % 3])).await.unwrap();
        let groups = session.table("b").await.unwrap().group_by_key(|bid: &Bid| bid.bidder % 9).unwrap();
        let running = groups.transform_with_state(Running, TimeMode::None, OutputMode::Append).unwrap();
        let writer = running.write_stream().format("parquet").option("path", place("out")).query_name("q");
        let query = writer.checkpoint(place("chk")).start().await.unwrap();
        while query.is_active() && query.recent_progress().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ended = !query.is_active();
        query.stop().await.unwrap();
        if ended {
            break;
        }
    }
    assert!(runs > 2, "{runs}");
    let read = Session::new().unwrap();
    read.sql(&format!("CREATE EXTERNAL TABLE o STORED AS PARQUET LOCATION '{}/'", place("out")))
        .await
        .unwrap();
    assert_eq!(table(&read, "o").await, expected);

    // The state after any batch that is kept, without a query.
    let running = async |batch: Option<u64>| {
        let state = read.read_state(place("chk")).operator(0).table("running");
        let state = batch.map_or(state.clone(), |batch| state.batch(BatchId(batch)));
        state.load().await?.select_expr(&["key", "\"value._1\"", "\"value._2\""])?.collect().await
    };
    assert_eq!(lines(&running(None).await.unwrap()), state_after(&bids));
    let first = running(Some(0)).await.unwrap();
    let counts = first.iter().flat_map(|rows| rows.column(1).as_primitive::<Int64Type>().values());
    let read_first: i64 = counts.sum();
    assert!((1..=400).contains(&read_first), "{read_first}");
    assert_eq!(lines(&first), state_after(&bids[..read_first as usize]));
    let error = running(Some(99)).await.unwrap_err();
    assert!(
        error.message().contains("the checkpoint does not know this batch: batch=99 kept=[0, "),
        "{error}"
    );
    let error = read.read_state(place("chk")).table("ranning").load().await.unwrap_err();
    assert_eq!(error.message(), "no table of the state is of this operator and name: tables=[running#0]");

    // A processor without the variable would lose what is kept.
    let session = Session::new().unwrap();
    session.sql(BIDS).await.unwrap();
    let groups = session.table("b").await.unwrap().group_by_key(|bid: &Bid| bid.bidder % 9).unwrap();
    let other = groups
        .flat_map_groups_with_state(TimeMode::None, OutputMode::Append, |key, _, state| {
            state.set(1_i64);
            Ok(vec![(*key, 0_i64, 0_i64)])
        })
        .unwrap();
    let writer = other.write_stream().format("parquet").option("path", place("out")).query_name("q");
    let error = writer.checkpoint(place("chk")).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("a variable that is gone: operator=0 variable=`running`"), "{error}");
}

#[tokio::test]
async fn a_program_that_fails_ends_the_query_and_writes_nothing() {
    let session = session().await;
    let groups = session.table("sales").await.unwrap().group_by_key(|sale: &Sale| sale.item.clone()).unwrap();
    let fails = groups
        .flat_map_groups_with_state(TimeMode::None, OutputMode::Append, |item, _, state| {
            state.set(1_i64);
            if item == "jam" {
                panic!("no jam")
            }
            Ok(vec![item.clone()])
        })
        .unwrap();
    let query = fails.write_stream().to_table("items").await.unwrap();
    session.sql("INSERT INTO sales VALUES ('north', 'tea', 3, [], '2026-01-01 10:00:00')").await.unwrap();
    session.process_all_available().await.unwrap();
    session.sql("INSERT INTO sales VALUES ('north', 'pie', 3, [], '2026-01-01 10:00:00'), ('north', 'jam', 3, [], '2026-01-01 10:00:00')").await.unwrap();
    let error = query.process_all_available().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("key \"jam\": the program's own code panicked while handling its rows: no jam"),
        "{error}"
    );
    assert_eq!(table(&session, "items").await, ["| tea |"]);

    let groups =
        session.table("sales").await.unwrap().group_by_key(|sale: &Sale| sale.price.unwrap()).unwrap();
    let fails = groups.update_state_by_key(|_, rows, _: Option<&i64>| Some(rows.len() as i64)).unwrap();
    let query = fails.write_stream().output_mode(OutputMode::Update).to_table("prices").await.unwrap();
    session.sql("INSERT INTO sales VALUES ('north', 'pie', NULL, [], '2026-01-01 10:00:00')").await.unwrap();
    let error = query.process_all_available().await.unwrap_err();
    assert!(
        error.to_string().contains("the program's own code panicked while a key was computed"),
        "{error}"
    );
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Visit {
    page: String,
    at: NaiveDateTime,
}

/// Visits of a page of which none is 10 seconds after the one before: when it ended (or that less `shift`), how many.
async fn visits(session: &Session, shift: Duration) -> Result<DataFrame> {
    let groups = session.table("visits").await?.group_by_key(|visit: &Visit| visit.page.clone())?;
    let groups = groups.emitted_time("_1");
    groups.flat_map_groups_with_state(TimeMode::EventTime, OutputMode::Append, move |_, visits, state| {
        let (count, latest): (i64, NaiveDateTime) = state.get().copied().unwrap_or_default();
        if state.has_timed_out() {
            state.take();
            return Ok(vec![(latest + Duration::from_secs(10) - shift, count)]);
        }
        let latest = visits.iter().map(|visit| visit.at).fold(latest, NaiveDateTime::max);
        state.set((count + visits.len() as i64, latest));
        state.set_timeout(Timestamp(latest.and_utc().timestamp_micros() + 10_000_000))?;
        Ok(vec![])
    })
}

#[tokio::test]
async fn what_is_emitted_has_an_event_time_that_windows_above_close_by() {
    let stream =
        "CREATE STREAM visits (page VARCHAR, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '5' SECOND)";
    let steps = [
        "('a', '2026-01-01 10:00:01'), ('b', '2026-01-01 10:00:02'), ('a', '2026-01-01 10:00:09')",
        "('a', '2026-01-01 10:00:19'), ('c', '2026-01-01 10:00:30')",
        "('d', '2026-01-01 10:01:30')",
        "('e', '2026-01-01 10:03:30')",
    ];
    for shards in [1, 4] {
        let session = Session::new().unwrap();
        session.sql(stream).await.unwrap();
        session.sql(&format!("SET acequia.shards = {shards}")).await.unwrap();
        let ended = visits(&session, Duration::ZERO).await.unwrap();
        let ended =
            ended.group_by(vec![window(col("_1"), "20 seconds")]).agg(vec![sum(col("_2")).alias("n")]);
        let ended = ended.unwrap().select_expr(&["window.start AS start", "n"]).unwrap();
        ended.write_stream().to_table("ended").await.unwrap();
        for rows in steps {
            session.sql(&format!("INSERT INTO visits VALUES {rows}")).await.unwrap();
            session.process_all_available().await.unwrap();
        }
        // The visit at 10:03:30 is not over.
        let expected = [
            "| 2026-01-01T10:00:00 | 1 |",
            "| 2026-01-01T10:00:20 | 3 |",
            "| 2026-01-01T10:00:40 | 1 |",
            "| 2026-01-01T10:01:40 | 1 |",
        ];
        assert_eq!(table(&session, "ended").await, expected);
    }
    let session = Session::new().unwrap();
    session.sql(stream).await.unwrap();
    let early = visits(&session, Duration::from_secs(60)).await.unwrap();
    let query = early.write_stream().to_table("early").await.unwrap();
    session.sql(&format!("INSERT INTO visits VALUES {}", steps[0])).await.unwrap();
    session.sql(&format!("INSERT INTO visits VALUES {}", steps[2])).await.unwrap();
    let error = query.await_termination().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("below the watermark, where it would be late"), "{error}");
    assert!(
        error.to_string().contains("column=`_1` time=2026-01-01T09:59:12 watermark=2026-01-01T10:00:04Z"),
        "{error}"
    );
    session.sql("CREATE STREAM untimed (page VARCHAR, at TIMESTAMP)").await.unwrap();
    let untimed =
        session.table("untimed").await.unwrap().group_by_key(|visit: &Visit| visit.page.clone()).unwrap();
    let untimed =
        untimed.emitted_time("_2").update_state_by_key(|_, rows, _: Option<&NaiveDateTime>| Some(rows[0].at));
    assert!(untimed.unwrap_err().to_string().contains("the input has no watermark"));
}

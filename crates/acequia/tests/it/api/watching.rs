//! Handles, progress, the manager and listeners.

use super::*;
use acequia::{
    Clock, Error, ManualClock, QueryRun, RetryPolicy, StreamingQueryProgress, Timestamp, UserError,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writes down what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn push(&self, name: &str, event: impl Into<String>) {
        self.0.lock().push(format!("{name}: {}", event.into()));
    }

    async fn wait_for(&self, event: &str) {
        let began = Instant::now();
        while !self.0.lock().iter().any(|told| told == event) {
            assert!(began.elapsed() < Duration::from_secs(30), "never told: {event}: {:?}", self.0.lock());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl StreamingQueryListener for Told {
    fn on_query_started(&self, query: &QueryRun) {
        self.push(&query.name, "started");
    }
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        self.push(&progress.name, format!("progress {} of {}", progress.batch_id, progress.num_input_rows));
    }
    fn on_query_idle(&self, query: &QueryRun, at: Timestamp) {
        self.push(&query.name, format!("idle at {}", at.0));
    }
    fn on_query_retry(&self, query: &QueryRun, error: &Error, _wait: Duration) {
        self.push(&query.name, format!("retry {}", error.kind()));
    }
    fn on_query_terminated(&self, query: &QueryRun, error: Option<&Error>) {
        self.push(&query.name, format!("terminated {}", error.map_or("well", |e| e.kind().as_str())));
    }
}

/// Panics whatever it is told.
struct Clumsy;

impl StreamingQueryListener for Clumsy {
    fn on_query_started(&self, _query: &QueryRun) {
        panic!("clumsy");
    }
    fn on_query_progress(&self, _progress: &StreamingQueryProgress) {
        panic!("clumsy");
    }
}

async fn keep(session: &Session, name: &str) -> Arc<StreamingQuery> {
    session.table("sales").await.unwrap().write_stream().to_table(name).await.unwrap()
}

async fn sell(session: &Session) {
    session.sql("INSERT INTO sales (shop, price, at) VALUES ('a', 1, '2026-01-01 00:00:00'), ('b', 2, '2026-01-01 00:00:04')").await.unwrap();
    session.process_all_available().await.unwrap();
}

#[tokio::test]
async fn listeners_are_told_in_order_from_when_they_are_added() {
    let session = session().await;
    let (first, later) = (Arc::new(Told::default()), Arc::new(Told::default()));
    session.streams().add_listener(Arc::new(Clumsy));
    let own = session.streams().add_listener(Arc::clone(&first) as _);
    let query = keep(&session, "q").await;
    assert_eq!(*first.0.lock(), ["q: started"], "before start() returns");
    sell(&session).await;
    session.streams().add_listener(Arc::clone(&later) as _);
    assert!(session.streams().remove_listener(own) && !session.streams().remove_listener(own));
    sell(&session).await;
    query.stop().await.unwrap();
    assert_eq!(*first.0.lock(), ["q: started", "q: progress 0 of 2"]);
    assert_eq!(*later.0.lock(), ["q: progress 1 of 2", "q: terminated well"]);
}

#[tokio::test]
async fn retries_and_failures_are_told() {
    let told = Arc::new(Told::default());
    let session = Session::builder().listener(Arc::clone(&told) as _).build().unwrap();
    session.sql("CREATE STREAM s (k BIGINT)").await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let writer = session.table("s").await.unwrap().write_stream().query_name("q");
    let writer = writer.retry(RetryPolicy { tries: 2, ..RetryPolicy::NEVER });
    let writer = writer.checkpoint(place.path().to_str().unwrap());
    let query = writer.foreach_batch(async |_| Err::<(), Error>(Error::unavailable("away"))).await.unwrap();
    session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    query.await_termination().await.unwrap_err();
    assert_eq!(*told.0.lock(), ["q: started", "q: retry unavailable", "q: terminated unavailable"]);
    let refused = session.table("s").await.unwrap().write_stream().format("nothing").start().await;
    assert!(refused.is_err());
    assert_eq!(told.0.lock().len(), 3, "what never started has not ended");
}

#[tokio::test]
async fn idle_is_told_every_ten_seconds() {
    let (told, clock) = (Arc::new(Told::default()), ManualClock::at(Timestamp(0)));
    let builder = Session::builder().clock(Arc::new(clock.clone())).listener(Arc::clone(&told) as _);
    let session = builder.build().unwrap();
    session.sql("CREATE STREAM s (k BIGINT)").await.unwrap();
    session
        .table("s")
        .await
        .unwrap()
        .write_stream()
        .format("blackhole")
        .query_name("q")
        .start()
        .await
        .unwrap();
    session.process_all_available().await.unwrap();
    clock.advance(Duration::from_micros(9_999_999));
    session.process_all_available().await.unwrap();
    assert_eq!(*told.0.lock(), ["q: started"]);
    clock.advance(Duration::from_micros(1));
    told.wait_for("q: idle at 10000000").await;
    clock.advance(Duration::from_secs(10));
    told.wait_for("q: idle at 20000000").await;
    assert_eq!(told.0.lock().len(), 3);
}

#[tokio::test]
async fn progress_has_the_shape_of_sparks() {
    let clock = ManualClock::at(Timestamp(1_767_225_600_000_000));
    let session_of_clock = Session::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let session = session_of_clock;
    session
        .sql("CREATE STREAM sales (shop VARCHAR, price BIGINT, at TIMESTAMP(3), WATERMARK FOR at)")
        .await
        .unwrap();
    let counts = session.table("sales").await.unwrap().group_by(vec![col("shop")]).count().unwrap();
    let query = counts
        .write_stream()
        .query_name("counts")
        .output_mode(OutputMode::Update)
        .format("blackhole")
        .start()
        .await
        .unwrap();
    assert!(query.last_progress().is_none());
    sell(&session).await;
    clock.advance(Duration::from_secs(4));
    sell(&session).await;
    let progress = query.recent_progress();
    let json: serde_json::Value = serde_json::from_str(&progress[1].json()).unwrap();
    assert_eq!(json["id"], query.id().0);
    assert_eq!(json["runId"], query.run_id());
    assert_eq!(json["name"], "counts");
    assert_eq!((&json["batchId"], &json["numInputRows"]), (&1.into(), &2.into()));
    assert_eq!(json["inputRowsPerSecond"], 0.5);
    assert_eq!(json["timestamp"], "2026-01-01T00:00:04Z");
    for phase in ["triggerExecution", "latestOffset", "walCommit", "addBatch", "commitOffsets"] {
        assert!(json["durationMs"][phase].is_number(), "{phase}");
    }
    let times = serde_json::json!({
        "max": "2026-01-01T00:00:04Z",
        "min": "2026-01-01T00:00:00Z",
        "avg": "2026-01-01T00:00:02Z",
        "watermark": "2026-01-01T00:00:04Z",
    });
    assert_eq!(json["eventTime"], times);
    assert_eq!(json["stateOperators"][0]["numRowsTotal"], 2);
    assert_eq!(json["sources"][0]["description"], "sales");
    assert_eq!(json["sources"][0]["inputRowsPerSecond"], 0.5);
    assert_eq!(json["sink"], serde_json::json!({ "description": "blackhole", "numOutputRows": 2 }));
    assert!(progress[0].input_rows_per_second.is_none());
    assert!(progress[0].pretty_json().lines().count() > 20);
    let status = query.status();
    assert!(!status.is_trigger_active || status.message.contains("asking"), "{status:?}");
    query.stop().await.unwrap();
    assert_eq!(query.status().message, "stopped");
}

#[tokio::test]
async fn the_manager_finds_queries_and_waits_for_any_to_end() {
    let session = session().await;
    let manager = session.streams();
    let (one, two) = (keep(&session, "one").await, keep(&session, "two").await);
    assert_eq!(manager.active().len(), 2);
    assert_eq!(manager.get("two").unwrap().id(), two.id());
    assert_eq!(manager.get(&one.id().0).unwrap().name(), "one");
    assert!(manager.get("three").is_none());
    let moment = Duration::from_millis(20);
    assert!(!manager.await_any_termination_timeout(moment).await.unwrap());
    assert!(!one.await_termination_timeout(moment).await.unwrap());
    one.stop().await.unwrap();
    assert!(one.await_termination_timeout(moment).await.unwrap());
    manager.await_any_termination().await.unwrap();
    manager.await_any_termination().await.unwrap();
    manager.reset_terminated();
    assert!(!manager.await_any_termination_timeout(moment).await.unwrap());
    let waiting = tokio::spawn({
        let manager = manager.clone();
        async move { manager.await_any_termination().await }
    });
    let fails = session.table("visits").await.unwrap().write_stream();
    let fails = fails.foreach_batch(async |_| Err::<(), UserError>("no".into())).await.unwrap();
    session.sql("INSERT INTO visits (who) VALUES ('Ann')").await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.message(), fails.await_termination().await.unwrap_err().message());
    assert_eq!(fails.exception().unwrap().message(), error.message());
    assert!(fails.status().message.contains("it has no checkpoint"), "{:?}", fails.status());
    assert_eq!(manager.active().len(), 1);
    // Session-wide calls tell it once, and then are about the other queries.
    let told = session.process_all_available().await.unwrap_err();
    assert_eq!(told.message(), error.message());
    session.process_all_available().await.unwrap();
    session.stop_all().await.unwrap();
    assert_eq!(fails.process_all_available().await.unwrap_err().message(), error.message());
}

#[tokio::test]
async fn the_last_hundred_ended_queries_are_known() {
    let session = session().await;
    let running = keep(&session, "running").await;
    for _ in 0..103 {
        let frame = session.table("visits").await.unwrap();
        frame.write_stream().format("blackhole").start().await.unwrap().stop().await.unwrap();
    }
    let last = session.table("visits").await.unwrap().write_stream();
    let last = last.query_name("last").format("blackhole").start().await.unwrap();
    let queries = session.queries();
    assert_eq!(queries.len(), 102);
    assert_eq!(queries.first().unwrap().handle.id(), running.id());
    assert_eq!(queries.last().unwrap().handle.id(), last.id());
}

#[tokio::test]
async fn state_that_only_grows_is_told_at_the_start() {
    let grows = async |query: &str| {
        let session = session().await;
        let started = session.frame(query).await.unwrap().write_stream().output_mode(OutputMode::Changes);
        let query = started.format("blackhole").start().await.unwrap();
        query.growing_state().to_vec()
    };
    let bounded = [
        "SELECT count(*) AS n FROM sales",
        "SELECT window.start AS w, count(*) AS n FROM sales GROUP BY window(at, '1 minute')",
        "SELECT * FROM sales ORDER BY price LIMIT 3",
        "SELECT s.item FROM sales s JOIN visits v ON s.shop = v.shop AND s.at = v.seen",
        "SELECT item FROM sales WHERE at > now() - INTERVAL '1 hour'",
    ];
    for query in bounded {
        assert_eq!(grows(query).await, Vec::<String>::new(), "{query}");
    }
    let growing = [
        (
            "SELECT shop, count(*) AS n FROM sales GROUP BY shop",
            "aggregate#0: no event-time column with a watermark in GROUP BY",
        ),
        (
            "SELECT s.item FROM sales s JOIN visits v ON s.shop = v.shop",
            "join#0: no event times with watermarks are equal or near each other in ON",
        ),
        (
            "SELECT item, lag(price) OVER (PARTITION BY shop ORDER BY at) AS p FROM sales",
            "over#0: no event-time column with a watermark in PARTITION BY",
        ),
    ];
    for (query, why) in growing {
        assert_eq!(grows(query).await, [why], "{query}");
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_trigger_keeps_its_beat_and_makes_up_for_a_slow_batch_once() {
    let clock = ManualClock::at(Timestamp(0));
    let session = Session::builder().clock(Arc::new(clock.clone())).build().unwrap();
    session.sql("CREATE STREAM s (k BIGINT)").await.unwrap();
    let times = Arc::new(Mutex::new(vec![]));
    let (own, slow) = (Arc::clone(&times), clock.clone());
    let writer = session.table("s").await.unwrap().write_stream().trigger(Trigger::ProcessingTime(HOUR));
    let handler = move |batch: acequia::Batch| {
        own.lock().push(slow.now().0 / 60_000_000);
        if batch.id() == acequia::BatchId(1) {
            slow.advance(HOUR * 5 / 2);
        }
        async { Ok::<_, Error>(()) }
    };
    let query = writer.foreach_batch(handler).await.unwrap();
    let put = async |k: usize| session.sql(&format!("INSERT INTO s VALUES ({k})")).await.map(|_| ()).unwrap();
    let ran = async |batches: usize| {
        let began = Instant::now();
        while times.lock().len() < batches {
            assert!(began.elapsed() < Duration::from_secs(30), "batch {batches}: {:?}", times.lock());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let nothing_until = async |minutes: u64| {
        let count = times.lock().len();
        clock.set(Timestamp(minutes as i64 * 60_000_000 - 1));
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(times.lock().len(), count, "before minute {minutes}");
        clock.advance(Duration::from_micros(1));
    };
    // It has asked once for what there is; nothing.
    let began = Instant::now();
    while query.status().message != "waiting for the next trigger" {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", query.status());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    put(0).await;
    nothing_until(60).await;
    ran(1).await;
    put(1).await;
    put(2).await;
    nothing_until(120).await;
    // It takes two and a half hours: the next batch follows at once, and the one after it on the old beat.
    ran(3).await;
    put(3).await;
    nothing_until(300).await;
    ran(4).await;
    query.stop().await.unwrap();
    assert_eq!(*times.lock(), [60, 120, 270, 300]);
}

use super::*;
use acequia_core::conformance::memory_context;
use acequia_core::conformance::source::{Fixture, run};
use acequia_core::{ErrorKind, ManualClock, Options, ReadMetrics, Timestamp};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// A peer on the loopback interface.
struct Peer {
    listener: TcpListener,
    connection: Option<TcpStream>,
}

impl Peer {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), connection: None }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    fn spec(&self, more: &[(&str, &str)]) -> SourceSpec {
        let mut options = Options::new("");
        options.insert("host", "127.0.0.1").unwrap();
        options.insert("port", self.port().to_string()).unwrap();
        more.iter().for_each(|(k, v)| options.insert(k, *v).unwrap());
        SourceSpec { name: "s".into(), options, declared: None, metadata: vec![] }
    }

    async fn open(&mut self, spec: &SourceSpec, context: &SourceContext) -> SocketSource {
        let source = SocketSource::open(spec, context.clone()).await.unwrap();
        self.accept().await;
        source
    }

    async fn accept(&mut self) {
        self.connection = Some(self.listener.accept().await.unwrap().0);
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let connection = self.connection.as_mut().unwrap();
        connection.write_all(bytes.as_ref()).await.unwrap();
        connection.flush().await.unwrap();
    }
}

/// Waits until so many records are in the buffer.
async fn arrived(buffer: &Buffer, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while buffer.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records have arrived", buffer.len());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn next(source: &mut SocketSource, start: Option<&Offset>) -> Offset {
    match source.next_offset(start).await.unwrap() {
        Advance::To { end, .. } => end,
        other => panic!("no rows: {other:?}"),
    }
}

async fn read(
    source: &SocketSource,
    start: Option<&Offset>,
    end: &Offset,
    metrics: &Arc<ReadMetrics>,
) -> RecordBatch {
    let range = OffsetRange { start: start.cloned(), end: end.clone() };
    let mut batches = vec![];
    for split in source.plan_splits(&range).await.unwrap() {
        let stream = source.reader().read(&split, None, metrics).unwrap();
        batches.extend(stream.try_collect::<Vec<_>>().await.unwrap());
    }
    arrow::compute::concat_batches(&source.schema(), &batches).unwrap()
}

async fn lines(source: &SocketSource, start: Option<&Offset>, end: &Offset) -> Vec<String> {
    let rows = read(source, start, end, &Arc::default()).await;
    rows.column(0).as_string::<i32>().iter().map(|s| s.unwrap().to_string()).collect()
}

/// The peer of whatever source is open.
struct Loopback {
    peer: tokio::sync::Mutex<Peer>,
    options: Vec<(&'static str, &'static str)>,
    declared: Option<SchemaRef>,
    buffer: Mutex<Option<Arc<Buffer>>>,
    fed: usize,
}

impl Fixture for Loopback {
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let mut peer = self.peer.lock().await;
        let spec = SourceSpec { declared: self.declared.clone(), ..peer.spec(&self.options) };
        let source = peer.open(&spec, &context).await;
        *self.buffer.lock() = Some(Arc::clone(&source.buffer));
        Ok(Box::new(source))
    }

    async fn feed(&mut self) {
        let mut text = String::new();
        for _ in 0..10 {
            self.fed += 1;
            text += &match self.options.first() {
                Some(("format", "json")) => format!("{{\"a\":{},\"b\":\"ü\"}}\n\n", self.fed),
                Some(("format", "csv")) => format!("{},\"x, y\"\r\n", self.fed),
                _ => format!("línea {}\n", self.fed),
            };
        }
        self.peer.lock().await.send(text).await;
        let buffer = self.buffer.lock().clone().unwrap();
        arrived(&buffer, 10).await;
    }
}

#[tokio::test]
async fn socket_keeps_the_contract_in_every_format() {
    let columns =
        Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8View, true)]);
    for (options, declared) in [
        (vec![], None),
        (vec![("max_rows_per_batch", "20")], None),
        (vec![("include_timestamp", "true")], None),
        (vec![("format", "json"), ("include_timestamp", "true")], Some(Arc::new(columns.clone()))),
        (vec![("format", "csv"), ("on_error", "skip")], Some(Arc::new(columns))),
    ] {
        let peer = tokio::sync::Mutex::new(Peer::new().await);
        run(Loopback { peer, options, declared, buffer: Mutex::default(), fed: 0 }).await;
    }
}

#[tokio::test]
async fn rows_that_were_told_of_survive_a_crash_and_are_offered_again() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let spec = peer.spec(&[]);
    let mut source = peer.open(&spec, &context).await;
    peer.send("one\ntwo\n").await;
    arrived(&source.buffer, 2).await;
    let first = next(&mut source, None).await;
    peer.send("three\n").await;
    arrived(&source.buffer, 1).await;
    let second = next(&mut source, Some(&first)).await;
    drop(source);

    let mut source = peer.open(&spec, &context).await;
    assert_eq!(next(&mut source, None).await, first);
    assert_eq!(lines(&source, None, &first).await, ["one", "two"]);
    assert_eq!(lines(&source, None, &second).await, ["one", "two", "three"]);
    source.commit(&first).await.unwrap();
    assert_eq!(next(&mut source, Some(&first)).await, second);
    source.commit(&second).await.unwrap();
    let left: Vec<_> = context.store.list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "what is committed is removed: {left:?}");
    drop(source);

    let mut source = peer.open(&spec, &context).await;
    assert_eq!(source.next_offset(Some(&second)).await.unwrap(), Advance::Idle);
    peer.send("four\n").await;
    arrived(&source.buffer, 1).await;
    let third = next(&mut source, Some(&second)).await;
    assert_ne!(third, second, "numbers go on though the journal is empty");
    assert_eq!(lines(&source, Some(&second), &third).await, ["four"]);
}

#[tokio::test]
async fn a_line_may_come_in_pieces_even_of_a_character() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let mut source = peer.open(&peer.spec(&[]), &context).await;
    peer.connection.as_mut().unwrap().set_nodelay(true).unwrap();
    let text = "grüße, 世界 🌍\nzwei\n".as_bytes();
    for piece in text.chunks(3) {
        peer.send(piece).await;
        tokio::task::yield_now().await;
    }
    arrived(&source.buffer, 2).await;
    let end = next(&mut source, None).await;
    assert_eq!(lines(&source, None, &end).await, ["grüße, 世界 🌍", "zwei"]);
}

#[tokio::test]
async fn a_peer_that_goes_away_is_connected_again_and_its_last_line_kept() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let mut source = peer.open(&peer.spec(&[]), &context).await;
    peer.send("whole\nunfinished").await;
    peer.connection.take().unwrap().shutdown().await.unwrap();
    arrived(&source.buffer, 2).await;
    peer.accept().await;
    peer.send("after\n").await;
    arrived(&source.buffer, 3).await;
    let end = next(&mut source, None).await;
    assert_eq!(lines(&source, None, &end).await, ["whole", "unfinished", "after"]);
}

#[tokio::test]
async fn a_full_buffer_holds_the_peer_back_and_loses_nothing() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let mut source = peer.open(&peer.spec(&[("max_rows_per_batch", "100")]), &context).await;
    let mut connection = peer.connection.take().unwrap();
    const COUNT: usize = 200_000;
    let sender = tokio::spawn(async move {
        let text: String = (0..COUNT).map(|i| format!("{i:070}\n")).collect();
        connection.write_all(text.as_bytes()).await.unwrap();
        connection
    });
    arrived(&source.buffer, 100).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!sender.is_finished(), "TCP does not take everything");
    assert!(source.buffer.len() < 100 + (64 << 10) / 71 + 1);
    let (mut at, mut count) = (None, 0);
    while count < 20_000 {
        if let Advance::To { end, .. } = source.next_offset(at.as_ref()).await.unwrap() {
            let got = lines(&source, at.as_ref(), &end).await;
            assert!(got.len() <= 100);
            assert!(got.iter().enumerate().all(|(i, line)| line.parse::<usize>().unwrap() == count + i));
            count += got.len();
            source.commit(&end).await.unwrap();
            at = Some(end);
        }
        tokio::task::yield_now().await;
    }
}

fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]))
}

#[tokio::test]
async fn malformed_records_stop_naming_peer_and_line_or_are_skipped_and_counted() {
    let context = memory_context();
    let mut peer = Peer::new().await;
    let spec = SourceSpec { declared: Some(numbers()), ..peer.spec(&[("format", "json")]) };
    let mut source = peer.open(&spec, &context).await;
    peer.send(b"{\"a\":1}\n{\"a\":\xFF}\n").await;
    arrived(&source.buffer, 2).await;
    for _ in 0..2 {
        let error = source.next_offset(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        let place = format!("malformed record: peer=`127.0.0.1:{}` line=2: ", peer.port());
        assert!(error.message().starts_with(&place), "{error}");
    }

    let spec = peer.spec(&[("format", "json"), ("on_error", "skip"), ("max_rows_per_batch", "2")]);
    let spec = SourceSpec { declared: Some(numbers()), ..spec };
    let mut source = peer.open(&spec, &context).await;
    peer.send(b"x\ny\n{\"a\":1}\n\xFF\n{\"a\":2}\nz\n").await;
    arrived(&source.buffer, 2).await;
    let (metrics, mut at, mut rows) = (Arc::default(), None, vec![]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while rows.len() < 2 {
        assert!(Instant::now() < deadline);
        if let Advance::To { end, .. } = source.next_offset(at.as_ref()).await.unwrap() {
            let batch = read(&source, at.as_ref(), &end, &metrics).await;
            rows.extend(batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            at = Some(end);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((rows, metrics.rows()), (vec![1, 2], 2));
    assert!(metrics.skipped() >= 3, "{}", metrics.skipped());
}

#[tokio::test]
async fn invalid_text_is_malformed_not_mended() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let mut source = peer.open(&peer.spec(&[]), &context).await;
    peer.send(b"ok\n\xC3(\n").await;
    arrived(&source.buffer, 2).await;
    let error = source.next_offset(None).await.unwrap_err();
    assert!(error.message().contains("line=2: not UTF-8"), "{error}");
}

#[tokio::test]
async fn the_time_of_arrival_is_a_column_where_it_is_wanted() {
    let mut peer = Peer::new().await;
    let clock = ManualClock::at(Timestamp(5_000_999));
    let context = SourceContext { clock: Arc::new(clock.clone()), ..memory_context() };
    let mut spec = peer.spec(&[("include_timestamp", "true"), ("on_error", "skip")]);
    let mut source = peer.open(&spec, &context).await;
    peer.send("a\n").await;
    arrived(&source.buffer, 1).await;
    clock.set(Timestamp(7_000_000));
    peer.send(b"\xFF\nb\n").await;
    arrived(&source.buffer, 3).await;
    let end = next(&mut source, None).await;
    let rows = read(&source, None, &end, &Arc::default()).await;
    assert_eq!(rows.column(1).as_primitive::<TimestampMillisecondType>().values().to_vec(), [5_000, 7_000]);

    let time = Field::new("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, None), true);
    let declared = Arc::new(Schema::new(vec![time, Field::new("line", DataType::Utf8View, true)]));
    spec.declared = Some(Arc::clone(&declared));
    assert_eq!(SocketConnector.describe(&spec).await.unwrap().schema, declared);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable_soon() {
    let peer = Peer::new().await;
    let spec = peer.spec(&[]);
    let address = format!("127.0.0.1:{}", peer.port());
    drop(peer);
    let started = Instant::now();
    let error = SocketSource::open(&spec, memory_context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&address), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn of_two_runs_the_second_to_write_is_fenced() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let spec = peer.spec(&[]);
    let mut old = peer.open(&spec, &context).await;
    peer.send("a\n").await;
    arrived(&old.buffer, 1).await;
    let mut new = peer.open(&spec, &context).await;
    peer.send("b\n").await;
    arrived(&new.buffer, 1).await;
    next(&mut new, None).await;
    assert_eq!(old.next_offset(None).await.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn a_damaged_journal_is_named() {
    let (mut peer, context) = (Peer::new().await, memory_context());
    let spec = peer.spec(&[]);
    let mut source = peer.open(&spec, &context).await;
    peer.send("a\n").await;
    arrived(&source.buffer, 1).await;
    let end = next(&mut source, None).await;
    drop(source);
    let name = object_store::path::Path::from("journal/00000000000000000000");
    let mut bytes = context.store.get(&name).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[40] ^= 4;
    context.store.put(&name, bytes.into()).await.unwrap();
    let source = peer.open(&spec, &context).await;
    let range = OffsetRange { start: None, end };
    let splits = source.plan_splits(&range).await.unwrap();
    let stream = source.reader().read(&splits[0], None, &Arc::default()).unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains(name.as_ref()), "{error}");
}

#[tokio::test]
async fn wrong_options_are_refused_when_described() {
    let peer = Peer::new().await;
    for (more, message) in [
        (vec![("format", "jsn")], "unknown format of stream `s`: `jsn`; did you mean `json`?"),
        (vec![("format", "json")], "declare the columns of stream `s`: a socket has none"),
        (vec![("format", "csv"), ("header", "true")], "unknown option of stream `s`: `header`"),
        (
            vec![("include_timestmp", "true")],
            "unknown option of stream `s`: `include_timestmp`; did you mean `include_timestamp`?",
        ),
    ] {
        let declared = more.contains(&("format", "csv")).then(numbers);
        let spec = SourceSpec { declared, ..peer.spec(&more) };
        let error = SocketConnector.describe(&spec).await.unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
    let mut options = Options::new("");
    options.insert("host", "h").unwrap();
    options.insert("port", "99999").unwrap();
    let spec = SourceSpec { options, ..peer.spec(&[]) };
    let error = SocketConnector.describe(&spec).await.unwrap_err();
    assert_eq!(error.message(), "option `port` of stream `s` must be 0 to 65535: `99999`");
}

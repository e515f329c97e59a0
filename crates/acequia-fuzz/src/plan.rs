//! Queries over two streams and a table, planned and explained; none is started.

use crate::block_on;
use acequia::sql::{ExplainStreaming, Statement, split};
use acequia::{Result, Session};

/// Longer texts say nothing new and take their time.
const MAX_BYTES: usize = 1 << 10;

const OBJECTS: &str = "
CREATE STREAM s (k BIGINT, v DOUBLE, w VARCHAR, ts TIMESTAMP(3), l BIGINT[], WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM r (k BIGINT, v DOUBLE, w VARCHAR, ts TIMESTAMP(3));
CREATE TABLE t AS VALUES (1, 'one'), (2, 'two');
";

/// Explains every query of the text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(MAX_BYTES)]) else { return };
    thread_local! {
        static SESSION: Result<Session> = block_on(async {
            let session = Session::new()?;
            session.sql(OBJECTS).await?;
            Ok(session)
        });
    }
    SESSION.with(|session| {
        let Ok(session) = session else { unreachable!("the objects are made") };
        for source in split(text) {
            let Ok(Statement::Query(query)) = source.parse() else { continue };
            let explain = Statement::ExplainStreaming(ExplainStreaming::Query(query));
            // A refusal is an answer.
            let _ = block_on(session.execute(source.with(explain)));
        }
    });
}

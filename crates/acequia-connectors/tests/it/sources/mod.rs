mod file;
mod generated;
mod memory;

use acequia_connectors::sources::{SourceSpec, connector};
use acequia_core::{
    Advance, Error, Offset, OffsetRange, Options, ReadMetrics, Result, Source, SourceContext, conformance,
};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::TryStreamExt;
use std::sync::Arc;

pub(crate) fn spec(options: &[(&str, &str)]) -> SourceSpec {
    let mut given = Options::new("");
    for (key, value) in options {
        given.insert(key, *value).unwrap();
    }
    SourceSpec { name: "s".into(), options: given, declared: None, metadata: vec![] }
}

pub(crate) fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

pub(crate) fn context() -> SourceContext {
    conformance::memory_context()
}

pub(crate) async fn open(name: &str, spec: &SourceSpec, context: &SourceContext) -> Result<Box<dyn Source>> {
    connector(name)?.open(spec, context.clone()).await
}

pub(crate) async fn describe_error(name: &str, spec: &SourceSpec) -> Error {
    connector(name).unwrap().describe(spec).await.unwrap_err()
}

/// The end of the next batch, which must be there.
pub(crate) async fn next(source: &mut dyn Source, start: Option<&Offset>) -> Offset {
    match source.next_offset(start).await.unwrap() {
        Advance::To { end, .. } => end,
        other => panic!("no rows: {other:?}"),
    }
}

pub(crate) async fn try_read(
    source: &dyn Source,
    start: Option<&Offset>,
    end: &Offset,
    projection: Option<&[usize]>,
    metrics: &Arc<ReadMetrics>,
) -> Result<RecordBatch> {
    let range = OffsetRange { start: start.cloned(), end: end.clone() };
    let mut batches = vec![];
    for split in source.plan_splits(&range).await? {
        batches.extend(source.reader().read(&split, projection, metrics)?.try_collect::<Vec<_>>().await?);
    }
    let schema = match projection {
        Some(columns) => Arc::new(source.schema().project(columns).unwrap()),
        None => source.schema(),
    };
    Ok(concat_batches(&schema, &batches).unwrap())
}

pub(crate) async fn read(source: &dyn Source, start: Option<&Offset>, end: &Offset) -> RecordBatch {
    try_read(source, start, end, None, &Arc::default()).await.unwrap()
}

/// Everything until the source is idle or ends, and where it stands then.
pub(crate) async fn read_all(
    source: &mut dyn Source,
    start: Option<Offset>,
) -> (Vec<RecordBatch>, Option<Offset>) {
    let mut batches = vec![];
    let mut at = start;
    while let Advance::To { end, .. } = source.next_offset(at.as_ref()).await.unwrap() {
        batches.push(read(source, at.as_ref(), &end).await);
        at = Some(end);
    }
    (batches, at)
}

pub(crate) fn text(batches: &[RecordBatch]) -> String {
    arrow::util::pretty::pretty_format_batches(batches).unwrap().to_string()
}

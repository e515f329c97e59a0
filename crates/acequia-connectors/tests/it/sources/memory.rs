use super::*;
use acequia_connectors::sources::{Connector, MemoryStream, StepCounter};
use acequia_core::ErrorKind;
use acequia_core::conformance::source::{Fixture, run};
use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

fn stream() -> MemoryStream {
    MemoryStream::new(schema(vec![Field::new("a", DataType::Int64, true)]))
}

fn rows(stream: &MemoryStream, values: &[i64]) -> RecordBatch {
    RecordBatch::try_new(Arc::clone(stream.schema()), vec![Arc::new(Int64Array::from(values.to_vec()))])
        .unwrap()
}

struct Memory {
    stream: MemoryStream,
    steps: StepCounter,
    options: &'static [(&'static str, &'static str)],
}

impl Fixture for Memory {
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        self.stream.open(&spec(self.options), context).await
    }

    async fn feed(&mut self) {
        let batches =
            vec![rows(&self.stream, &[1, 2, 3]), rows(&self.stream, &[]), rows(&self.stream, &[4, 5])];
        self.stream.append(self.steps.advance(), batches).unwrap();
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    run(Memory { stream: stream(), steps: StepCounter::default(), options: &[] }).await;
    run(Memory { stream: stream(), steps: StepCounter::default(), options: &[("max_rows_per_batch", "2")] })
        .await;
}

async fn steps(source: &mut dyn Source) -> Vec<(u64, Vec<i64>)> {
    let mut out = vec![];
    let mut at = None;
    while let Advance::To { end, step } = source.next_offset(at.as_ref()).await.unwrap() {
        let batch = read(source, at.as_ref(), &end).await;
        out.push((step.unwrap(), batch.column(0).as_primitive::<Int64Type>().values().to_vec()));
        at = Some(end);
    }
    out
}

#[tokio::test]
async fn one_step_is_one_batch_and_a_limit_cuts_it() {
    let stream = stream();
    stream.append(3, vec![rows(&stream, &[1, 2])]).unwrap();
    stream.append(3, vec![rows(&stream, &[3])]).unwrap();
    stream.append(5, vec![rows(&stream, &[])]).unwrap();
    stream.append(7, vec![rows(&stream, &[4])]).unwrap();
    let mut source = stream.open(&spec(&[]), context()).await.unwrap();
    assert_eq!(steps(source.as_mut()).await, [(3, vec![1, 2, 3]), (7, vec![4])]);
    let mut source = stream.open(&spec(&[("max_rows_per_batch", "2")]), context()).await.unwrap();
    assert_eq!(steps(source.as_mut()).await, [(3, vec![1, 2]), (3, vec![3]), (7, vec![4])]);
}

#[tokio::test]
async fn rows_that_are_gone_with_the_process_are_an_error() {
    let first = stream();
    first.append(1, vec![rows(&first, &[1])]).unwrap();
    let mut source = first.open(&spec(&[]), context()).await.unwrap();
    let end = next(source.as_mut(), None).await;
    let mut later = stream().open(&spec(&[]), context()).await.unwrap();
    assert_eq!(later.next_offset(Some(&end)).await.unwrap_err().kind(), ErrorKind::Data);
}

#[tokio::test]
async fn closing_ends_and_handing_over_wakes() {
    let stream = stream();
    let mut waiter = stream.subscribe();
    let mut source = stream.open(&spec(&[]), context()).await.unwrap();
    assert_eq!(source.next_offset(None).await.unwrap(), Advance::Idle);
    assert!(!waiter.has_changed().unwrap());
    stream.append(1, vec![rows(&stream, &[1])]).unwrap();
    waiter.changed().await.unwrap();
    let end = next(source.as_mut(), None).await;
    stream.close();
    waiter.changed().await.unwrap();
    assert_eq!(source.next_offset(Some(&end)).await.unwrap(), Advance::Ended);
    assert_eq!(stream.append(2, vec![rows(&stream, &[1])]).unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn rows_of_other_columns_are_refused() {
    let stream = stream();
    let other = MemoryStream::new(schema(vec![Field::new("b", DataType::Int64, true)]));
    assert_eq!(stream.append(1, vec![rows(&other, &[1])]).unwrap_err().kind(), ErrorKind::Invalid);
}

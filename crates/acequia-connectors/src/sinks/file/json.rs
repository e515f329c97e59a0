//! JSON, one object a line.
//!
//! NULL is written as `null`, so that a column is there in every file. JSON has no NaN and no infinities: they are the
//! strings `"NaN"`, `"Infinity"` and `"-Infinity"`, as Spark writes them, never `null`.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, NullableEncoder, WriterBuilder};
use arrow::json::{Encoder, EncoderFactory, EncoderOptions, LineDelimitedWriter};
use std::io::Write;
use std::sync::Arc;

pub(super) fn writer<W: Write>(out: W) -> LineDelimitedWriter<W> {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(NonFinite))
        .build::<W, LineDelimited>(out)
}

/// Takes over float columns that hold what JSON numbers cannot.
#[derive(Debug)]
struct NonFinite;

impl EncoderFactory for NonFinite {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if !matches!(array.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
            return Ok(None);
        }
        let wide = cast(array, &DataType::Float64)?;
        let values = wide.as_primitive::<Float64Type>().values().to_vec();
        if values.iter().all(|v| v.is_finite()) {
            return Ok(None);
        }
        let encoder = Floats { values, single: array.data_type() != &DataType::Float64 };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct Floats {
    values: Vec<f64>,
    single: bool,
}

impl Encoder for Floats {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = match self.values[idx] {
            v if v.is_nan() => out.write_all(b"\"NaN\""),
            f64::INFINITY => out.write_all(b"\"Infinity\""),
            f64::NEG_INFINITY => out.write_all(b"\"-Infinity\""),
            v if self.single => write!(out, "{:?}", v as f32),
            v => write!(out, "{v:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array, Int64Array, RecordBatch};

    #[test]
    fn null_is_there_and_non_finite_numbers_are_strings() {
        let rows = RecordBatch::try_from_iter(vec![
            ("n", Arc::new(Int64Array::from(vec![None, Some(1), Some(2), Some(3)])) as _),
            (
                "f",
                Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::INFINITY), Some(1e300)]))
                    as _,
            ),
            ("g", Arc::new(Float32Array::from(vec![f32::NEG_INFINITY, 0.1, -0.0, 1e30])) as _),
            ("h", Arc::new(Float32Array::from(vec![1.0, 2.5, 3.0, 4.0])) as _),
        ])
        .unwrap();
        let mut out = writer(Vec::new());
        out.write(&rows).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        assert_eq!(
            text,
            "{\"n\":null,\"f\":\"NaN\",\"g\":\"-Infinity\",\"h\":1.0}\n\
             {\"n\":1,\"f\":null,\"g\":0.1,\"h\":2.5}\n\
             {\"n\":2,\"f\":\"Infinity\",\"g\":-0.0,\"h\":3.0}\n\
             {\"n\":3,\"f\":1e300,\"g\":1e30,\"h\":4.0}\n"
        );
    }
}

//! Variances, standard deviations, covariances and correlations over rows with weights, from exact sums:
//!
//! ```text
//! c = Σw  Sx = Σwx  Sxx = Σwx²  Sy = Σwy  Syy = Σwy²  Sxy = Σwxy     rows where no argument is NULL
//! variance      (c·Sxx − Sx²) / c²    or  / c(c−1)  of a sample
//! covariance    (c·Sxy − SxSy) / c²   or  / c(c−1)  of a sample
//! correlation   (c·Sxy − SxSy) / √((c·Sxx − Sx²)(c·Syy − Sy²))
//! ```
//! Taking a row back leaves no trace, which DataFusion's running means cannot promise.

use super::native::{NativeStates, argument, gather};
use super::weighted::{rows_of, set, split_weights, wide, wide_state};
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Decimal256Type, Int64Type, i256};
use datafusion::functions_aggregate::correlation::Correlation;
use datafusion::functions_aggregate::covariance::{CovariancePopulation, CovarianceSample};
use datafusion::functions_aggregate::stddev::{Stddev, StddevPop};
use datafusion::functions_aggregate::variance::{VariancePopulation, VarianceSample};
use std::any::Any;
use std::sync::Arc;

/// One of the functions.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Moment {
    Variance { sample: bool },
    Deviation { sample: bool },
    Covariance { sample: bool },
    Correlation,
}

impl Moment {
    /// By the type of the implementation, since a user's function may have the same name.
    pub(super) fn of(function: &dyn Any) -> Option<Self> {
        let moments = [
            (function.is::<VarianceSample>(), Self::Variance { sample: true }),
            (function.is::<VariancePopulation>(), Self::Variance { sample: false }),
            (function.is::<Stddev>(), Self::Deviation { sample: true }),
            (function.is::<StddevPop>(), Self::Deviation { sample: false }),
            (function.is::<CovarianceSample>(), Self::Covariance { sample: true }),
            (function.is::<CovariancePopulation>(), Self::Covariance { sample: false }),
            (function.is::<Correlation>(), Self::Correlation),
        ];
        moments.into_iter().find_map(|(is, moment)| is.then_some(moment))
    }

    /// The names of its sums.
    pub(super) fn sums(self) -> &'static [&'static str] {
        match self {
            Self::Variance { .. } | Self::Deviation { .. } => &["x", "xx"],
            Self::Covariance { .. } | Self::Correlation => &["x", "xx", "y", "yy", "xy"],
        }
    }
}

/// States of one of the functions.
pub(super) struct Moments {
    moment: Moment,
    /// The scales of the arguments, which are decimals or integers.
    scales: Vec<i8>,
    counts: Vec<i64>,
    /// The sums, each for all groups, in the order of their names.
    sums: Vec<Vec<i256>>,
}

fn number(value: i64) -> i256 {
    i256::from_i128(value.into())
}

fn float(value: i256) -> f64 {
    // Of the magnitude, since both halves of a small negative number are large.
    let (low, high) = value.wrapping_abs().to_parts();
    let magnitude = high as f64 * 2.0_f64.powi(128) + low as f64;
    if value.is_negative() { -magnitude } else { magnitude }
}

impl Moments {
    pub(super) fn new(moment: Moment, scales: Vec<i8>) -> Self {
        Self { moment, scales, counts: Vec::new(), sums: vec![Vec::new(); moment.sums().len()] }
    }

    /// `c·Sab − SaSb` of a group.
    fn spread(&self, id: usize, product: usize, a: usize, b: usize) -> f64 {
        let of = |sum: usize| self.sums[sum][id];
        float(number(self.counts[id]).wrapping_mul(of(product)).wrapping_sub(of(a).wrapping_mul(of(b))))
    }

    fn result(&self, id: usize) -> Option<f64> {
        let count = self.counts[id] as f64;
        let over = |spread: f64, sample: bool| {
            let among = if sample { count - 1.0 } else { count };
            let units = self.scales.iter().map(|scale| 10.0_f64.powi((*scale).into()));
            // A variance has its one argument twice.
            let unit =
                if self.scales.len() == 1 { units.map(|u| u * u).product() } else { units.product::<f64>() };
            (among > 0.0).then(|| spread / (count * among) / unit)
        };
        match self.moment {
            Moment::Variance { sample } => over(self.spread(id, 1, 0, 0), sample),
            Moment::Deviation { sample } => over(self.spread(id, 1, 0, 0), sample).map(f64::sqrt),
            Moment::Covariance { sample } => over(self.spread(id, 4, 0, 2), sample),
            Moment::Correlation => {
                let (xx, yy) = (self.spread(id, 1, 0, 0), self.spread(id, 3, 2, 2));
                (count > 1.0 && xx > 0.0 && yy > 0.0)
                    .then(|| self.spread(id, 4, 0, 2) / xx.sqrt() / yy.sqrt())
            }
        }
    }
}

impl NativeStates for Moments {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups.max(self.counts.len()), 0);
        self.sums.iter_mut().for_each(|sums| sums.resize(groups.max(sums.len()), i256::ZERO));
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let numbers = values.iter().zip(&self.scales).map(|(value, scale)| wide(value, *scale));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let x = numbers.first().ok_or_else(|| Error::internal("an aggregate has no argument"))?;
        for row in rows_of(values.iter(), filter, ids.len()).set_indices() {
            let (id, weight) = (ids[row] as usize, weights.value(row));
            self.counts[id] += weight;
            let mut add = |sum: usize, part: i256| {
                let sum = &mut self.sums[sum][id];
                *sum = sum.wrapping_add(part.wrapping_mul(number(weight)));
            };
            let x = x.value(row);
            add(0, x);
            add(1, x.wrapping_mul(x));
            if let Some(y) = numbers.get(1) {
                let y = y.value(row);
                add(2, y);
                add(3, y.wrapping_mul(y));
                add(4, x.wrapping_mul(y));
            }
        }
        Ok(())
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(ids.iter().map(|id| self.result(*id as usize)).collect::<Float64Array>()))
    }

    fn state(&self, ids: &[u32], columns: &mut Vec<ArrayRef>) -> Result<()> {
        columns.push(Arc::new(Int64Array::from(gather(&self.counts, ids))));
        columns.extend(self.sums.iter().map(|sums| wide_state(gather(sums, ids))));
        Ok(())
    }

    fn width(&self) -> usize {
        1 + self.sums.len()
    }

    fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        set(&mut self.counts, ids, argument::<Int64Type>(columns)?);
        for (number, sums) in self.sums.iter_mut().enumerate() {
            set(sums, ids, argument::<Decimal256Type>(&columns[number + 1..])?);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let sums: usize = self.sums.iter().map(|sums| sums.capacity() * size_of::<i256>()).sum();
        sums + self.counts.capacity() * size_of::<i64>()
    }
}

//! Which windows an instant belongs to: pure arithmetic on `i64`s.
//!
//! Windows are half-open, `[start, end)`, and aligned to the epoch plus an offset, before 1970 too. Three shapes:
//! ```text
//! tumble   |----size----|----size----|        one window per instant
//! hop      |----size----|                     ceil(size / slide) windows, or one fewer where the size is not a
//!     |slide|----size----|                    multiple of the slide; the latest start comes first (as in Spark)
//! cumulate |step|step|step|  one start,       ends at every step up to the size; the earliest end comes first
//! ```
//! Instants so near the ends of `i64` that a window leaves it have no windows ([`Grid`] gives `None`).

use super::interval::in_unit;
use super::invalid;
use acequia_core::time::format_interval;
use arrow::datatypes::TimeUnit;
use datafusion::common::Result;
use std::fmt;

/// More windows than this for one row are refused: they are a slip of the pen, and would not fit in memory.
pub const MAX_WINDOWS_PER_ROW: i64 = 100_000;

/// How the windows of an instant lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Windows that follow each other without a gap.
    Tumble,
    /// Windows of one size that start at every slide.
    Hop,
    /// Windows that grow from one start, a step at a time, up to the size.
    Cumulate,
}

/// Windows of fixed size, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowSpec {
    /// How they lie.
    pub shape: Shape,
    /// The (largest) length of a window.
    pub size: i64,
    /// From one start to the next (hop), or from one end to the next (cumulate); the size of tumbling windows.
    pub slide: i64,
    /// How far starts are from multiples of the slide (of the size, where it cumulates), `0 <= offset`.
    pub offset: i64,
}

impl WindowSpec {
    /// Tumbling windows.
    ///
    /// # Errors
    /// `Invalid` for a size that is not positive, and an offset that is not smaller.
    pub fn tumble(size: i64, offset: i64) -> Result<Self> {
        Self::hop(size, size, offset)
    }

    /// Sliding windows; tumbling ones when the slide is the size.
    ///
    /// # Errors
    /// `Invalid` for a size or slide that is not positive, a slide longer than the size, and an offset that is not
    /// smaller than the slide.
    pub fn hop(slide: i64, size: i64, offset: i64) -> Result<Self> {
        positive(size, "window size")?;
        positive(slide, "window slide")?;
        smaller("window slide", slide, "window size", size.saturating_add(1))?;
        let way = if slide == size { "window size" } else { "window slide" };
        smaller("window offset", offset, way, slide)?;
        let shape = if slide == size { Shape::Tumble } else { Shape::Hop };
        Self { shape, size, slide, offset: offset.rem_euclid(slide) }.within_limit()
    }

    /// Cumulating windows.
    ///
    /// # Errors
    /// `Invalid` for a size that is not a whole number of steps, and as for [`WindowSpec::hop`].
    pub fn cumulate(step: i64, size: i64, offset: i64) -> Result<Self> {
        positive(size, "window size")?;
        positive(step, "window step")?;
        smaller("window offset", offset, "window size", size)?;
        if size % step != 0 {
            return Err(invalid(format!(
                "window size is not a multiple of its step: size={} step={}",
                format_interval(size),
                format_interval(step)
            )));
        }
        let shape = if step == size { Shape::Tumble } else { Shape::Cumulate };
        Self { shape, size, slide: step, offset: offset.rem_euclid(size) }.within_limit()
    }

    fn within_limit(self) -> Result<Self> {
        if self.windows_per_row() > MAX_WINDOWS_PER_ROW {
            return Err(invalid(format!(
                "too many windows per row: {} (limit {MAX_WINDOWS_PER_ROW}); size={} slide={}",
                self.windows_per_row(),
                format_interval(self.size),
                format_interval(self.slide)
            )));
        }
        Ok(self)
    }

    /// The most windows that one row can be in.
    pub fn windows_per_row(&self) -> i64 {
        self.size / self.slide + i64::from(self.size % self.slide != 0)
    }

    /// The same windows in a column's own unit.
    ///
    /// # Errors
    /// `Invalid` when the unit is too coarse or too fine for them.
    pub fn in_unit(&self, unit: TimeUnit) -> Result<Grid> {
        Ok(Grid {
            shape: self.shape,
            size: in_unit(self.size, unit, "window size")?,
            slide: in_unit(self.slide, unit, "window slide")?,
            offset: in_unit(self.offset, unit, "window offset")?,
        })
    }
}

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format_interval(self.size))?;
        match self.shape {
            Shape::Tumble => {}
            Shape::Hop => write!(f, " every {}", format_interval(self.slide))?,
            Shape::Cumulate => write!(f, " in steps of {}", format_interval(self.slide))?,
        }
        match self.offset {
            0 => Ok(()),
            offset => write!(f, " from {}", format_interval(offset)),
        }
    }
}

pub(crate) fn positive(length: i64, what: &str) -> Result<()> {
    if length > 0 {
        return Ok(());
    }
    Err(invalid(format!("{what} is not positive: {}", format_interval(length))))
}

fn smaller(what: &str, length: i64, than: &str, limit: i64) -> Result<()> {
    if length.checked_abs().is_some_and(|l| l < limit) {
        return Ok(());
    }
    Err(invalid(format!("{what} is too long for the {than}: {}", format_interval(length))))
}

/// Windows of fixed size in a column's own unit; made by [`WindowSpec::in_unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grid {
    shape: Shape,
    size: i64,
    slide: i64,
    offset: i64,
}

/// One window, `[start, end)`.
pub type Bounds = (i64, i64);

impl Grid {
    /// The length of the (largest) window.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// The tumbling window that holds an instant.
    pub fn tumble(&self, instant: i64) -> Option<Bounds> {
        let start = aligned(instant, self.size, self.offset)?;
        Some((start, start.checked_add(self.size)?))
    }

    /// Appends the windows that hold an instant, in the order of their shape; `None` when one leaves `i64`.
    pub fn push_windows(&self, instant: i64, starts: &mut Vec<i64>, ends: &mut Vec<i64>) -> Option<()> {
        match self.shape {
            Shape::Tumble => {
                let (start, end) = self.tumble(instant)?;
                starts.push(start);
                ends.push(end);
            }
            Shape::Hop => self.push_hops(instant, starts, ends)?,
            Shape::Cumulate => self.push_steps(instant, starts, ends)?,
        }
        Some(())
    }

    fn push_hops(&self, instant: i64, starts: &mut Vec<i64>, ends: &mut Vec<i64>) -> Option<()> {
        let mut start = aligned(instant, self.slide, self.offset)?;
        loop {
            let end = start.checked_add(self.size)?;
            if end <= instant {
                return Some(());
            }
            starts.push(start);
            ends.push(end);
            start = start.checked_sub(self.slide)?;
        }
    }

    fn push_steps(&self, instant: i64, starts: &mut Vec<i64>, ends: &mut Vec<i64>) -> Option<()> {
        let start = aligned(instant, self.size, self.offset)?;
        let last = start.checked_add(self.size)?;
        let mut end = start + (instant - start) / self.slide * self.slide + self.slide;
        loop {
            starts.push(start);
            ends.push(end);
            if end >= last {
                return Some(());
            }
            end += self.slide;
        }
    }
}

/// The greatest `offset + k * step` that is not after `instant`; needs `0 <= offset < step`.
fn aligned(instant: i64, step: i64, offset: i64) -> Option<i64> {
    let past = (instant.rem_euclid(step) - offset).rem_euclid(step);
    instant.checked_sub(past)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// All windows that hold `t`, by trying every one in reach, in wide integers.
    fn slow(spec: &WindowSpec, t: i64) -> Option<Vec<Bounds>> {
        let (t, size, slide, offset) =
            (i128::from(t), i128::from(spec.size), i128::from(spec.slide), i128::from(spec.offset));
        let step = if spec.shape == Shape::Hop { slide } else { size };
        let near = (t - offset).div_euclid(step);
        let mut found = Vec::new();
        for k in (near - spec.windows_per_row() as i128 - 2..=near + 2).rev() {
            let start = offset + k * step;
            let ends: Vec<i128> = match spec.shape {
                Shape::Cumulate => (1..=size / slide).map(|n| start + n * slide).collect(),
                _ => vec![start + size],
            };
            found.extend(ends.into_iter().filter(|end| start <= t && t < *end).map(|end| (start, end)));
        }
        found.into_iter().map(|(s, e)| Some((i64::try_from(s).ok()?, i64::try_from(e).ok()?))).collect()
    }

    fn fast(grid: &Grid, t: i64) -> Option<Vec<Bounds>> {
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        grid.push_windows(t, &mut starts, &mut ends)?;
        Some(starts.into_iter().zip(ends).collect())
    }

    fn any_spec(rng: &mut SmallRng) -> WindowSpec {
        let unit = [1, 7, 1_000, 3_600_000_000][rng.random_range(0..4)];
        let slide = rng.random_range(1..20) * unit;
        let offset = rng.random_range(-slide + 1..slide);
        match rng.random_range(0..3) {
            0 => WindowSpec::tumble(slide, offset),
            1 => WindowSpec::hop(slide, slide + rng.random_range(0..5 * slide), offset),
            _ => WindowSpec::cumulate(slide, slide * rng.random_range(1..6), offset),
        }
        .unwrap()
    }

    #[test]
    fn windows_of_random_instants_equal_the_slow_search() {
        let mut rng = SmallRng::seed_from_u64(7);
        for _ in 0..20_000 {
            let spec = any_spec(&mut rng);
            let t = match rng.random_range(0..4) {
                0 => rng.random_range(-100..100),
                1 => rng.random_range(-4_000_000_000_000_000..4_000_000_000_000_000),
                2 => i64::MAX - rng.random_range(0..100_000_000_000),
                _ => i64::MIN + rng.random_range(0..100_000_000_000),
            };
            let grid = spec.in_unit(TimeUnit::Microsecond).unwrap();
            // Near the ends the search may find a window that leaves `i64` where the grid has only those inside.
            let (slow, fast) = (slow(&spec, t), fast(&grid, t));
            assert!(
                slow == fast || (slow.is_some() && fast.is_none() && t < i64::MIN + 2 * spec.size),
                "{spec} {t}"
            );
        }
    }

    #[test]
    fn specs_outside_the_rules_are_refused() {
        for spec in [
            WindowSpec::tumble(0, 0),
            WindowSpec::tumble(-5, 0),
            WindowSpec::tumble(10, 10),
            WindowSpec::tumble(10, -10),
            WindowSpec::tumble(10, i64::MIN),
            WindowSpec::hop(11, 10, 0),
            WindowSpec::hop(0, 10, 0),
            WindowSpec::hop(5, 10, 5),
            WindowSpec::hop(1, 1_000_000_000, 0),
            WindowSpec::cumulate(3, 10, 0),
            WindowSpec::cumulate(20, 10, 0),
        ] {
            assert!(spec.is_err(), "{spec:?}");
        }
    }

    #[test]
    fn a_negative_offset_is_the_same_grid_as_its_complement() {
        assert_eq!(WindowSpec::tumble(10, -3).unwrap(), WindowSpec::tumble(10, 7).unwrap());
    }
}

//! The promises of [`Clock`], checked over an implementation.

use crate::Clock;

/// Runs every check.
///
/// # Panics
/// When a promise is broken, naming it.
pub fn run(clock: &dyn Clock) {
    let (now, elapsed) = (clock.now(), clock.elapsed());
    assert!(now.0 >= 0, "the wall clock counts from 1970");
    for _ in 0..1_000 {
        assert!(clock.elapsed() >= elapsed, "elapsed time never goes back");
    }
}

#[cfg(test)]
mod tests {
    use crate::time::{ManualClock, SystemClock, Timestamp};
    use std::time::Duration;

    #[test]
    fn clocks_keep_their_promises() {
        super::run(&SystemClock::default());
        let manual = ManualClock::at(Timestamp(5));
        super::run(&manual);
        manual.advance(Duration::from_secs(1));
        super::run(&manual);
        assert_eq!(crate::Clock::now(&manual), Timestamp(1_000_005));
    }
}

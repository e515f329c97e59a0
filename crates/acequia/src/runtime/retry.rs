//! How a query bears what may pass: it tries again, waiting longer each time, then stops with the first error.
//!
//! Only `Unavailable` is tried again; every other kind says that waiting does not help, unless the policy says
//! otherwise. A try is a recovery: state,
//! offsets, watermark and time of the batch are read from the checkpoint, so a batch that is tried again is the same
//! batch. A query without a checkpoint has no state to go back to once a batch has begun: it tries again what comes
//! before a batch, which changes nothing, and stops otherwise.

use acequia_core::{Error, ErrorKind, Result};
use std::time::Duration;

/// How often a query tries again what did not answer, and how long it waits before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries before the query stops, the first one included.
    pub tries: u32,
    /// The wait after the first failure; it doubles after each further one.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// Whether any error is tried again, not only what may pass: those of the program's own code, of input that somebody
    /// mends meanwhile, of a full disk. Never when a newer run has taken over.
    pub any_error: bool,
}

impl RetryPolicy {
    /// Stops at the first failure.
    pub const NEVER: Self =
        Self { tries: 1, first_wait: Duration::ZERO, longest_wait: Duration::ZERO, any_error: false };
}

impl Default for RetryPolicy {
    /// Ten tries over about 45 seconds.
    fn default() -> Self {
        let (first_wait, longest_wait) = (Duration::from_millis(100), Duration::from_secs(10));
        Self { tries: 10, first_wait, longest_wait, any_error: false }
    }
}

/// The failures since something succeeded.
#[derive(Debug)]
pub(super) struct Failures {
    policy: RetryPolicy,
    count: u32,
    first: Option<Error>,
}

impl Failures {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, count: 0, first: None }
    }

    /// Something succeeded.
    pub(super) fn forget(&mut self) {
        (self.count, self.first) = (0, None);
    }

    /// Takes in a failure; gives the wait before the next try.
    ///
    /// # Errors
    /// What ends the query: the failure itself when waiting does not help, else the first one and the number of tries.
    pub(super) fn next_wait(&mut self, error: Error, repeatable: bool) -> Result<Duration> {
        let passes = match error.kind() {
            ErrorKind::Unavailable => true,
            ErrorKind::Fenced | ErrorKind::Cancelled => false,
            _ => self.policy.any_error,
        };
        if !passes || !repeatable {
            return Err(error);
        }
        let doubled = self.policy.first_wait.saturating_mul(2_u32.saturating_pow(self.count));
        self.count += 1;
        let first = self.first.get_or_insert(error);
        if self.count < self.policy.tries {
            return Ok(doubled.min(self.policy.longest_wait));
        }
        let first = Error::new(first.kind(), first.message());
        Err(if self.count == 1 { first } else { first.context(format!("tried {} times", self.count)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(n: u32) -> Error {
        Error::unavailable(format!("failure {n}"))
    }

    #[test]
    fn waits_double_up_to_the_longest_and_the_first_error_ends_it() {
        let second = Duration::from_secs(1);
        let policy = RetryPolicy { tries: 5, first_wait: second, longest_wait: second * 3, any_error: false };
        let mut failures = Failures::new(policy);
        let waits: Vec<_> = (1..5).map(|n| failures.next_wait(failed(n), true).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 3, 3]);
        let error = failures.next_wait(failed(5), true).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "tried 5 times: failure 1"));
        failures.forget();
        assert_eq!(failures.next_wait(failed(6), true).unwrap(), second);
    }

    #[test]
    fn what_waiting_does_not_help_ends_the_query_at_once() {
        let mut failures = Failures::new(RetryPolicy::default());
        assert_eq!(failures.next_wait(failed(1), false).unwrap_err().message(), "failure 1");
        let full = Error::resource_exhausted("disk is full");
        assert_eq!(failures.next_wait(full, true).unwrap_err().kind(), ErrorKind::ResourceExhausted);
        let any = RetryPolicy { any_error: true, ..RetryPolicy::default() };
        let tried = |error: Error| Failures::new(any).next_wait(error, true).is_ok();
        assert!(tried(Error::data("malformed")) && !tried(Error::fenced("taken over")));
        let never = Failures::new(RetryPolicy::NEVER).next_wait(failed(1), true).unwrap_err();
        assert_eq!(never.message(), "failure 1");
    }

    #[test]
    fn waits_do_not_overflow() {
        let policy = RetryPolicy { tries: u32::MAX, ..RetryPolicy::default() };
        let mut failures = Failures::new(policy);
        for n in 0..200 {
            assert!(failures.next_wait(failed(n), true).unwrap() <= policy.longest_wait);
        }
    }
}

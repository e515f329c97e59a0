//! The fuzzers under libFuzzer. `scripts/fuzz.sh` builds and runs it; the target is named by `ACEQUIA_FUZZ`.

#![no_main]

use acequia_fuzz::{TARGETS, Target};
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let wanted = named();
        let found = TARGETS.iter().find(|(name, _)| *name == wanted);
        let (_, target) = found.unwrap_or_else(|| unreachable!("ACEQUIA_FUZZ names no target: `{wanted}`"));
        let _ = TARGET.set(*target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);

#[expect(clippy::disallowed_methods, reason = "libFuzzer owns the arguments")]
fn named() -> String {
    std::env::var("ACEQUIA_FUZZ").unwrap_or_default()
}

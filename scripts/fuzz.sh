#!/usr/bin/env bash
# Fuzzes what reads bytes from outside, guided by coverage (libFuzzer): scripts/fuzz.sh [SECONDS [TARGET...]]
# Each target runs so many seconds, 10 by default. What it finds interesting is kept in target/fuzz/TARGET and is where
# the next run begins; an input that fails is left beside it. Add that input to crates/acequia-fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=(sql plan options decode checkpoint); fi

# Over the whole workspace, so that dependencies have the features that they are built with anyway.
RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/instrument.sh" \
    cargo build --locked --workspace --features acequia-fuzz/libfuzzer --bin fuzz

built=${CARGO_TARGET_DIR:-target}
for target in "${targets[@]}"; do
    kept=target/fuzz/$target
    mkdir -p "$kept"
    if [ "$target" = sql ]; then find sql-tests -name '*.sql' -exec cp {} "$kept" \; ; fi
    echo "fuzzing $target for $seconds seconds"
    if ! ACEQUIA_FUZZ=$target "$built/debug/fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -len_control=0 -max_len=8192 -seed=1 -artifact_prefix="target/fuzz/$target-" \
        "$kept" "crates/acequia-fuzz/corpus/$target" >"$kept.log" 2>&1; then
        tail -40 "$kept.log"
        exit 1
    fi
    grep -a 'Done\|DONE' "$kept.log" | tail -2
done

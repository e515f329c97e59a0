#!/usr/bin/env bash
# Passes the tests on a fresh machine that has Rust: builds, runs every test, and the files of sql-tests/.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== unit, integration and doc tests, and every file of sql-tests"
cargo test --workspace --locked

echo "== every example"
./scripts/examples.sh

echo "== an independent reader over the main example"
./scripts/check_parquet.sh

echo "== fuzzers, for a short while"
if command -v c++ >/dev/null; then
    ./scripts/fuzz.sh 5
else
    echo "skipped: libFuzzer needs a C++ compiler, and there is none"
fi

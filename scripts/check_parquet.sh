#!/usr/bin/env bash
# Has an independent reader (DuckDB, from PyPI, in an environment of its own) check what the engine writes: the run is
# killed again and again on its way, and the directory must still hold exactly the batch answer.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/check_parquet_venv
if ! command -v python3 >/dev/null; then
  echo "skipped: there is no python3"
  exit 0
fi
if [ ! -x "$venv/bin/python" ] && ! python3 -m venv "$venv"; then
  echo "skipped: python3 cannot make a virtual environment"
  exit 0
fi
if ! "$venv/bin/python" -c 'import duckdb' 2>/dev/null && ! "$venv/bin/pip" install --quiet duckdb==1.4.1 pytz; then
  echo "skipped: duckdb cannot be installed"
  exit 0
fi

cargo build --locked --quiet -p acequia-cli
acequia="${CARGO_TARGET_DIR:-target}/debug/acequia"
rm -rf target/check_parquet
for pause in 0.3 0.5 0.4; do
  "$acequia" run scripts/check_parquet.sql &
  sleep "$pause"
  kill -9 $! 2>/dev/null || true
  wait $! 2>/dev/null || true
done
"$acequia" run scripts/check_parquet.sql
"$venv/bin/python" scripts/check_parquet.py target/check_parquet

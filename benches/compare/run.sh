#!/usr/bin/env bash
# Runs the same queries over the same Parquet files on acequia, Spark, DuckDB and Polars, and prints one table.
# `benches/compare/run.sh --help` lists the sizes; paths are relative to the repository.
set -euo pipefail
cd "$(dirname "$0")/../.."

stop() {
  echo "compare: $1" >&2
  exit 1
}

here=benches/compare
work="${CARGO_TARGET_DIR:-target}/compare"
venv="$work/venv"

command -v python3 >/dev/null || stop "there is no python3; install Python 3.10 or newer with its venv module"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  stop "$(python3 --version) is too old; install Python 3.10 or newer"
if ! cmp --silent "$here/requirements.txt" "$venv/installed.txt"; then
  python3 -m venv "$venv" || stop "python3 cannot make a virtual environment; install its venv module"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt" ||
    stop "packages cannot be installed: $here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
# Without -B there would be compiled modules beside the sources.
exec "$venv/bin/python" -B "$here/compare.py" --work "$work" \
  --acequia "${CARGO_TARGET_DIR:-target}/release/acequia" "$@"

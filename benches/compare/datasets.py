"""The Parquet files that every engine reads: written by acequia, one file for each micro-batch to be.

A data set is a directory `<table>-<sizes>/00000.parquet, 00001.parquet, ...` which appears by rename once it is
complete, so that an interrupted run leaves nothing that a later one would take for it. Streaming file sources take
files by modification time; these are set a second apart, in the order of the names, or files written in the same
millisecond could be read in any order and event time would run backwards.
"""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

# Of every 50 Nexmark events 46 are bids.
EVENTS, BIDS = 50, 46

SMALL_BATCH_ROWS = 100

# Knuth's multiplier. It also spreads the keys, or an engine could take an array instead of a hash table.
MULTIPLIER = 2_654_435_761


@dataclass(frozen=True)
class Dataset:
    """Files of equal size with the rows of one table."""

    directory: Path
    files: int
    rows: int

    @property
    def glob(self) -> str:
        """All the files, for a reader that takes patterns."""
        return f"{self.directory}/*.parquet"

    def first(self, files: int) -> str:
        """A pattern for the first files."""
        names = ",".join(_name(number) for number in range(min(files, self.files)))
        return f"{self.directory}/{{{names}}}"


def quoted(text) -> str:
    """A string literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def connect(**config) -> duckdb.DuckDBPyConnection:
    """DuckDB without its progress bar, which would stand between the tables."""
    connection = duckdb.connect(config=config)
    connection.execute("SET enable_progress_bar = false")
    return connection


def generate(acequia, root: Path, sizes) -> dict[str, Dataset]:
    """Writes the data sets that are not there yet, and returns all of them by the name of their table."""
    bids_per_file = math.ceil(sizes.bids / BIDS) * BIDS
    datasets = {
        "bid": Dataset(root / f"bid-{sizes.files}-{bids_per_file}", sizes.files, sizes.files * bids_per_file),
        "keyed": Dataset(
            root / f"keyed-{sizes.files}-{sizes.keyed}-{sizes.keys}", sizes.files, sizes.files * sizes.keyed
        ),
        "small": Dataset(root / f"small-{sizes.files}-{SMALL_BATCH_ROWS}", sizes.files, sizes.files * SMALL_BATCH_ROWS),
    }
    _write(acequia, datasets["bid"], _bids)
    _write(acequia, datasets["keyed"], lambda dataset: _keyed(dataset, sizes.keys))
    _write(acequia, datasets["small"], lambda dataset: _keyed(dataset, sizes.keys))
    _check_keys(datasets["keyed"], sizes.keys)
    return datasets


def _name(number: int) -> str:
    return f"{number:05}.parquet"


def _bids(dataset: Dataset) -> tuple[str, str]:
    events = dataset.rows // BIDS * EVENTS
    source = f"""connector = 'nexmark', table = 'bid', events = '{events}',
        max_rows_per_batch = '{events // dataset.files}'"""
    return source, "SELECT * FROM source"


def _keyed(dataset: Dataset, keys: int) -> tuple[str, str]:
    """Each run of `keys` rows has every key once, each run in another order.

    Multiplying by a number without a common divisor permutes the keys, and another multiplier for each run makes the
    distance between two rows of one key vary.
    """
    source = f"connector = 'rate', rows_per_batch = '{dataset.rows // dataset.files}', num_rows = '{dataset.rows}'"
    multipliers = (m for m in range(MULTIPLIER, MULTIPLIER + dataset.rows) if math.gcd(m, keys) == 1)
    cases = [f"WHEN {run} THEN {next(multipliers)}" for run in range(math.ceil(dataset.rows / keys))]
    key = f"(value % {keys}) * (CASE value / {keys} {' '.join(cases)} END) % {keys}"
    return source, f"SELECT {key} * {MULTIPLIER} AS k, value AS v FROM source"


def _write(acequia, dataset: Dataset, script) -> None:
    if dataset.directory.exists():
        return
    partial = dataset.directory.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    source, select = script(dataset)
    acequia.script(
        f"""CREATE STREAM source WITH ({source});
            CREATE SINK files WITH (connector = 'parquet', path = {quoted(partial / "written")});
            INSERT INTO files {select} TRIGGER AVAILABLE NOW;"""
    )
    written = sorted((partial / "written").glob("*.parquet"))
    if len(written) != dataset.files:
        raise SystemExit(f"compare: acequia wrote another number of files: files={len(written)} asked={dataset.files}")
    complete = partial / "complete"
    complete.mkdir()
    newest = partial.stat().st_mtime
    for number, path in enumerate(written):
        path = path.rename(complete / _name(number))
        time = newest - dataset.files + number
        os.utime(path, (time, time))
    complete.rename(dataset.directory)
    shutil.rmtree(partial)


def _check_keys(dataset: Dataset, keys: int) -> None:
    sql = f"SELECT count(*), count(DISTINCT k) FROM read_parquet({quoted(dataset.glob)})"
    [(rows, distinct)] = connect().execute(sql).fetchall()
    if (rows, distinct) != (dataset.rows, min(keys, dataset.rows)):
        raise SystemExit(
            f"compare: the keyed rows are not as asked for: rows={rows} keys={distinct}; delete {dataset.directory}"
        )

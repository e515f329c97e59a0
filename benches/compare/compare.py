"""Runs the same queries over the same Parquet files on several engines, and prints the figures side by side.

`run.sh` makes the environment that this needs and starts it. Two tables come out: rows per second of whole queries,
and what a micro-batch costs that has next to no rows. The engines run one after another, never two at once; of several
runs of a query the fastest counts. Figures are printed only if the engines have read the same rows and found the same
number of groups.
"""

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
from engines import Acequia, DuckDB, Polars, Run, Spark
from queries import LATENCY, THROUGHPUT

ENGINES = ["acequia", "spark", "duckdb", "polars"]

# A query that has taken this long is not run again: it has been warm for most of the time.
PATIENCE_SECONDS = 30

# The oldest Java that the pinned PySpark runs on.
JAVA = 17

Runs = dict[tuple[str, str], Run]


def main() -> None:
    """Measures what the arguments ask for."""
    options = arguments()
    if not options.acequia.is_file():
        stop(f"there is no binary: path={options.acequia}; build it with `cargo build --release -p acequia-cli`")
    if "spark" in options.engines:
        check_java()
    options.acequia, options.work = options.acequia.resolve(), options.work.resolve()
    tell("data")
    generator = Acequia(options.acequia, options.work / "generator", shards="1", durable=False)
    tables = datasets.generate(generator, options.work / "data", options)
    runs: Runs = {}
    settings = machine() + sizes(options, tables)
    for engine in engines(options):
        settings.append(engine.describe())
        for query in (THROUGHPUT + LATENCY) if engine.streams else THROUGHPUT:
            if query.name in options.queries:
                tell(f"{engine.name}: {query.name}")
                runs[query.name, engine.name] = fastest(engine, query, tables[query.table], options.repeats)
    check(runs, tables)
    print("\n".join(f"- {line}" for line in settings))
    print_throughput(runs, tables)
    print_latency(runs)


def arguments() -> argparse.Namespace:
    """The command line; what `run.sh` always gives has no default here."""
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__.split("\n\n")[0])
    names = [query.name for query in THROUGHPUT + LATENCY]
    add = parser.add_argument
    add("--files", type=count, default=50, help="files of each table, one micro-batch each (%(default)s)")
    add("--bids", type=count, default=100_000, help="bids per file, rounded up to a multiple of 46 (%(default)s)")
    add("--keyed", type=count, default=200_000, help="rows per file of the query `keys` (%(default)s)")
    add("--keys", type=count, default=5_000_000, help="distinct keys of the query `keys` (%(default)s)")
    add("--queries", type=some_of(names), default=names, help=f"some of {','.join(names)} (all)")
    add("--engines", type=some_of(ENGINES), default=ENGINES, help=f"some of {','.join(ENGINES)} (all)")
    add("--repeats", type=count, default=3, help="runs of a query, of which the fastest counts (%(default)s)")
    add("--threads", type=count, default=2, help="threads of Spark, DuckDB and Polars (%(default)s)")
    add("--shards", default="auto", help="shards of acequia's state (%(default)s)")
    add("--spark-memory", default="8g", help="heap of Spark's JVM (%(default)s)")
    add("--spark-limit", type=count, default=120, help="seconds after which Spark stops at a batch (%(default)s)")
    add("--spark-warm-up", type=count, default=5, help="files that Spark reads before a query (%(default)s)")
    add("--spark-conf", type=setting, action="append", default=[], metavar="KEY=VALUE", help="a setting of Spark")
    add("--acequia", type=Path, required=True, metavar="PATH", help="the binary (the release build)")
    add("--work", type=Path, required=True, metavar="PATH", help="place of data and checkpoints (target/compare)")
    return parser.parse_args()


def count(text: str) -> int:
    """An argument that is a whole number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a whole number above 0: {text}")
    return int(text)


def setting(text: str) -> tuple[str, str]:
    """An argument `key=value`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"not KEY=VALUE: {text}")
    return key, value


def some_of(names: list[str]):
    """The type of an argument that lists some of these names."""

    def parse(text: str) -> list[str]:
        unknown = sorted(set(text.split(",")) - set(names))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {','.join(unknown)}; choose from {','.join(names)}")
        return text.split(",")

    return parse


def stop(message: str) -> None:
    """Ends the program with an error."""
    raise SystemExit(f"compare: {message}")


def tell(message: str) -> None:
    """Says what is going on, beside the tables."""
    print(message, file=sys.stderr, flush=True)


def check_java() -> None:
    """Stops where Spark could not start."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    way_out = f"install a JRE of version {JAVA} or newer, or leave Spark out with `--engines acequia,duckdb,polars`"
    if java is None or not Path(java).is_file():
        stop(f"there is no Java, which Spark needs; {way_out}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is None or int(found[1]) < JAVA:
        stop(f"Java is too old for Spark: path={java} version={found[1] if found else told!r}; {way_out}")


def engines(options: argparse.Namespace) -> Iterator:
    """The engines that are asked for; each is ready while it is the current one, and gone afterwards."""
    if "acequia" in options.engines:
        for durable in (False, True):
            yield Acequia(options.acequia, options.work / "acequia", options.shards, durable)
    if "spark" in options.engines:
        with Spark(
            options.work / "spark",
            options.threads,
            options.spark_memory,
            options.spark_limit,
            options.spark_warm_up,
            dict(options.spark_conf),
        ) as spark:
            yield spark
    if "duckdb" in options.engines:
        yield DuckDB(options.threads)
    if "polars" in options.engines:
        yield Polars(options.threads)


def fastest(engine, query, dataset, repeats: int) -> Run:
    """The fastest of several runs."""
    runs = [engine.run(query, dataset)]
    while len(runs) < repeats and sum(run.seconds for run in runs) < PATIENCE_SECONDS:
        runs.append(engine.run(query, dataset))
    return min(runs, key=lambda run: run.seconds)


def check(runs: Runs, tables: dict) -> None:
    """Stops unless the engines did the same work."""
    for query in THROUGHPUT + LATENCY:
        of_query = {engine: run for (name, engine), run in runs.items() if name == query.name}
        for engine, run in of_query.items():
            if not run.cut and run.rows != tables[query.table].rows:
                stop(f"{engine} read other rows: query={query.name} rows={run.rows} of={tables[query.table].rows}")
        answers = {engine: run.answer_rows for engine, run in of_query.items() if run.answer_rows is not None}
        if len(set(answers.values())) > 1:
            stop(f"answers differ in their number of rows: query={query.name} {answers}")


def machine() -> list[str]:
    """What the figures depend on most."""
    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        named = re.search(r"model name\s*: (.*)", cpuinfo.read_text())
        processor = named[1] if named else processor
    return [f"machine: {os.cpu_count()} cores, {processor or platform.machine()}, {platform.system()}"]


def sizes(options: argparse.Namespace, tables: dict) -> list[str]:
    """What is read, and how often."""
    keyed = min(options.keys, tables["keyed"].rows)
    return [
        f"data: {options.files} Parquet files of each table, read one per micro-batch; "
        f"{tables['bid'].rows:,} Nexmark bids; {tables['keyed'].rows:,} rows of {keyed:,} keys for `keys`",
        f"each figure is the fastest of up to {options.repeats} runs, none begun after {PATIENCE_SECONDS} s",
    ]


def print_throughput(runs: Runs, tables: dict) -> None:
    """One line for each query."""
    streaming = [Acequia.name_of(False), Acequia.name_of(True), Spark.name]
    batch = [DuckDB.name, Polars.name]
    lines, cut = [], []
    for query in THROUGHPUT:
        found = {engine: runs.get((query.name, engine)) for engine in streaming + batch}
        if not any(found.values()):
            continue
        cells = [label(query)]
        cells += [speed(found[engine]) for engine in streaming]
        cells += [ratio(found[engine], found[Spark.name]) for engine in streaming[:2]]
        lines.append(cells + [speed(found[engine]) for engine in batch])
        spark = found[Spark.name]
        if spark is not None and spark.cut:
            cut.append(f"\\* {query.name}: {spark.rows:,} of {tables[query.table].rows:,} rows, then the time was up")
    if lines:
        head = ["query", *streaming, "acequia : Spark", "with checkpoint", *(f"{name}, one shot" for name in batch)]
        print("\nRows per second of wall time / rows per second of CPU time:\n")
        print_table([head, *lines])
        if cut:
            print("\n" + "\n".join(cut))


def print_latency(runs: Runs) -> None:
    """One line for each query over small batches."""
    streaming = [Acequia.name_of(False), Acequia.name_of(True), Spark.name]
    lines = []
    for query in LATENCY:
        found = [runs.get((query.name, engine)) for engine in streaming]
        if not any(found):
            continue
        medians = [None if run is None else statistics.median(run.batch_ms) for run in found]
        cells = ["–" if median is None else f"{median:.3g}" for median in medians]
        spark = medians[-1]
        times = ["–" if None in (own, spark) else times_as(spark / own) for own in medians[:2]]
        lines.append([label(query), *cells, *times])
    if lines:
        print(f"\nA micro-batch of {datasets.SMALL_BATCH_ROWS} rows, median in milliseconds:\n")
        print_table([["query", *streaming, "Spark : acequia", "with checkpoint"], *lines])


def label(query) -> str:
    """The first cell of a query's line."""
    return f"{query.name}: {query.title}, {query.mode}"


def speed(run: Run | None) -> str:
    """Rows per second, of wall time and of CPU time."""
    if run is None:
        return "–"
    return f"{rate(run.rows / run.seconds)} / {rate(run.rows / run.cpu_seconds)}" + (" \\*" if run.cut else "")


def ratio(run: Run | None, other: Run | None) -> str:
    """How many times the throughput of the other, of wall time and of CPU time."""
    if run is None or other is None:
        return "–"
    wall = (run.rows / run.seconds) / (other.rows / other.seconds)
    cpu = (run.rows / run.cpu_seconds) / (other.rows / other.cpu_seconds)
    return f"{times_as(wall)} / {times_as(cpu)}"


def rate(value: float) -> str:
    """A number of three digits, in thousands or millions."""
    unit, name = (1e6, "M") if value >= 999_500 else (1e3, "k")
    digits = 2 if value < 9.995 * unit else 1 if value < 99.95 * unit else 0
    return f"{value / unit:.{digits}f} {name}"


def times_as(value: float) -> str:
    """A ratio."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def print_table(lines: list[list[str]]) -> None:
    """Prints lines, the first of which is the head, as Markdown that is aligned for reading as it is."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for line in [lines[0], rule, *lines[1:]]:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

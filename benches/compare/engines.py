"""The engines, each of which runs a query over a data set and tells what it took.

Streams take one file a micro-batch, everything that is there, and give the rows to a sink that drops them; batch
queries drop theirs too. CPU time is user and system time of the process that does the work, all its threads included:
of acequia the whole process from its start to its end, of Spark the JVM between the start and the end of the query.
"""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil

from datasets import connect, quoted

WATERMARK_SECONDS = 4


@dataclass(frozen=True)
class Run:
    """What one run took."""

    rows: int
    seconds: float
    cpu_seconds: float
    # Rows of the answer, where the engine tells them.
    answer_rows: int | None = None
    # How long each micro-batch took.
    batch_ms: tuple[float, ...] = ()
    # Whether the time was up before all the rows were read.
    cut: bool = False


class Acequia:
    """The binary, which is started anew for every run; `durable` is with a checkpoint."""

    streams = True

    def __init__(self, binary: Path, work: Path, shards: str, durable: bool):
        self.name = Acequia.name_of(durable)
        self.binary = binary
        self.work = work
        self.shards = shards
        self.durable = durable

    @staticmethod
    def name_of(durable: bool) -> str:
        """The name in the tables."""
        return "acequia, checkpoint" if durable else "acequia"

    def describe(self) -> str:
        """Version and settings."""
        told = subprocess.run([self.binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        checkpoint = "with a checkpoint, every batch synced to the disk" if self.durable else "no checkpoint"
        return f"{told}: {checkpoint}; shards={self.shards}, sink blackhole; the start of the process is included"

    def run(self, query, dataset) -> Run:
        """Runs a query in a process of its own."""
        _empty(self.work)
        checkpoint = f" WITH (checkpoint = {quoted(self.work / 'checkpoint')})" if self.durable else ""
        watermark = (
            f"(WATERMARK FOR date_time AS date_time - INTERVAL '{WATERMARK_SECONDS}' SECOND)"
            if query.table == "bid"
            else ""
        )
        run, events = self._measured(
            f"""SET acequia.shards = '{self.shards}';
                CREATE STREAM {query.table} {watermark} WITH (connector = 'file', format = 'parquet',
                    path = {quoted(dataset.directory)}, max_files_per_batch = '1');
                CREATE SINK nothing WITH (connector = 'blackhole');
                INSERT INTO nothing {query.sql("acequia")} EMIT {query.mode} TRIGGER AVAILABLE NOW{checkpoint};"""
        )
        batches = [event for event in events if event["event"] == "progress"]
        return Run(
            rows=sum(batch["inputRows"] for batch in batches),
            seconds=run.seconds,
            cpu_seconds=run.cpu_seconds,
            answer_rows=batches[-1]["stateRows"] if batches and query.keeps_every_group else None,
            batch_ms=tuple(batch["durationMs"]["triggerExecution"] for batch in batches if batch["inputRows"]),
        )

    def script(self, text: str) -> None:
        """Runs statements for what they leave behind."""
        _empty(self.work)
        self._measured(text)

    def _measured(self, text: str) -> tuple[Run, list[dict]]:
        script, output = self.work / "script.sql", self.work / "output.jsonl"
        script.write_text(text)
        with output.open("wb") as out:
            started = time.perf_counter()
            process = subprocess.Popen([self.binary, "run", "--format", "json", script], stdout=out)
            # `wait4` tells the time of this child alone; `getrusage` adds up all of them.
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        events = [json.loads(line) for line in output.read_text().splitlines()]
        if process.returncode != 0:
            errors = [event["message"] for event in events if event["event"] == "error"]
            raise SystemExit(f"compare: acequia failed: {'; '.join(errors) or process.returncode}; script={script}")
        return Run(rows=0, seconds=seconds, cpu_seconds=used.ru_utime + used.ru_stime), events


class Spark:
    """PySpark's Structured Streaming in one JVM, which lives while this object is used as a context."""

    name = "Spark"
    streams = True

    def __init__(self, work: Path, threads: int, memory: str, limit: int, warm_up: int, conf: dict[str, str]):
        self.work = work
        self.limit = limit
        self.warm_up = warm_up
        self.warm: set[str] = set()
        self.settings = {
            "spark.master": f"local[{threads}]",
            "spark.sql.shuffle.partitions": str(threads),
            "spark.driver.memory": memory,
            "spark.sql.session.timeZone": "UTC",
            "spark.ui.enabled": "false",
            # The event times in the files have no zone, and Spark takes only those with one for a watermark.
            "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
        } | conf

    def __enter__(self):
        # Imported here, so that the other engines can be measured where there is no Java.
        from pyspark.sql import SparkSession

        _empty(self.work)
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        quiet = {
            "spark.local.dir": str(self.work / "local"),
            "spark.sql.warehouse.dir": str(self.work / "warehouse"),
            "spark.sql.streaming.numRecentProgressUpdates": "100000",
            "spark.log.level": "ERROR",
            "spark.ui.showConsoleProgress": "false",
        }
        self.session = SparkSession.builder.config(map=quiet | self.settings).getOrCreate()
        java = self.session.sparkContext._jvm.java.lang
        self.java = java.System.getProperty("java.version")
        self.jvm = psutil.Process(java.ProcessHandle.current().pid())
        return self

    def __exit__(self, *_):
        self.session.stop()

    def describe(self) -> str:
        """Versions and settings."""
        settings = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        return (
            f"Spark {self.session.version} on Java {self.java}: {settings}; maxFilesPerTrigger=1, "
            "trigger availableNow, sink noop, checkpoint on local disk; the JVM's start is not included, "
            f"each query runs over the first {self.warm_up} files before it is measured, "
            f"and stops at a batch after {self.limit} s"
        )

    def run(self, query, dataset) -> Run:
        """Runs a query until its rows are read, or to the end of the micro-batch in which the time is up."""
        if query.name not in self.warm:
            self._writer(query, dataset, dataset.first(self.warm_up)).start().awaitTermination()
            self.warm.add(query.name)
        writer = self._writer(query, dataset, dataset.glob)
        cpu, started = self._cpu_seconds(), time.perf_counter()
        stream = writer.start()
        in_time = stream.awaitTermination(self.limit)
        if not in_time:
            _await_batch(stream)
        batches = stream.recentProgress
        seconds, cpu_seconds = time.perf_counter() - started, self._cpu_seconds() - cpu
        stream.stop()
        rows = sum(batch.numInputRows for batch in batches)
        cut = not in_time and rows < dataset.rows
        return Run(
            rows=rows,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            answer_rows=None if cut or not query.keeps_every_group else batches[-1].stateOperators[0].numRowsTotal,
            batch_ms=tuple(batch.durationMs["triggerExecution"] for batch in batches if batch.numInputRows),
            cut=cut,
        )

    def _writer(self, query, dataset, pattern: str):
        checkpoint = self.work / "checkpoint"
        _empty(checkpoint)
        schema = self.session.read.parquet(str(dataset.directory)).schema
        rows = self.session.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(pattern)
        if query.table == "bid":
            rows = rows.withWatermark("date_time", f"{WATERMARK_SECONDS} seconds")
        rows.createOrReplaceTempView(query.table)
        writer = self.session.sql(query.sql("spark")).writeStream.format("noop").outputMode(query.mode.lower())
        return writer.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True)

    def _cpu_seconds(self) -> float:
        times = self.jvm.cpu_times()
        return times.user + times.system


def _await_batch(stream) -> None:
    """Waits for the end of the micro-batch that runs."""
    before = _batches_done(stream)
    while stream.isActive and _batches_done(stream) == before:
        time.sleep(0.02)


def _batches_done(stream) -> int:
    progress = stream.lastProgress
    return 0 if progress is None else progress.batchId + 1


class DuckDB:
    """DuckDB's one-shot query, in this process."""

    name = "DuckDB"
    streams = False

    def __init__(self, threads: int):
        self.threads = threads
        self.connection = connect(threads=threads)

    def describe(self) -> str:
        """Version and settings."""
        return f"DuckDB {duckdb.__version__}: one query over all the files, threads={self.threads}, rows dropped"

    def run(self, query, dataset) -> Run:
        """Runs a query; `EXPLAIN ANALYZE` runs it to the end and drops its rows."""
        files = f"read_parquet({quoted(dataset.glob)})"
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {query.table} AS SELECT * FROM {files}")
        sql = query.sql("duckdb")
        cpu, started = time.process_time(), time.perf_counter()
        self.connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        [(answer_rows,)] = self.connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()
        return Run(rows=dataset.rows, seconds=seconds, cpu_seconds=cpu_seconds, answer_rows=answer_rows)


class Polars:
    """Polars' one-shot query, in this process."""

    name = "Polars"
    streams = False

    def __init__(self, threads: int):
        # Read once, when the module is loaded.
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars

        self.threads = threads
        self.polars = polars

    def describe(self) -> str:
        """Version and settings."""
        version = self.polars.__version__
        return f"Polars {version}: one query over all the files, streaming, threads={self.threads}, rows dropped"

    def run(self, query, dataset) -> Run:
        """Runs a query on the streaming engine, and counts the rows of its answer."""
        answer_rows = 0

        def count(rows) -> None:
            nonlocal answer_rows
            answer_rows += rows.height

        cpu, started = time.process_time(), time.perf_counter()
        answer = query.polars(self.polars, self.polars.scan_parquet(dataset.glob))
        answer.sink_batches(count, maintain_order=False, engine="streaming")
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return Run(rows=dataset.rows, seconds=seconds, cpu_seconds=cpu_seconds, answer_rows=answer_rows)


def _empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)

"""The queries, in the dialect of each engine.

Where the engines agree on the SQL there is one text; a word in braces stands for what they spell differently. Polars
has no dialect worth the name, so its queries are expressions. What the numbers of a query cost must not hang on the
type that an engine gives a literal, hence the cast in q1.
"""

from collections.abc import Callable
from dataclasses import dataclass

DIALECTS = {
    "acequia": {
        "day": "to_char(date_time, '%Y-%m-%d')",
        "window": "window(date_time, '10 seconds')",
    },
    "spark": {
        "day": "date_format(date_time, 'yyyy-MM-dd')",
        "window": "window(date_time, '10 seconds')",
    },
    "duckdb": {
        "day": "strftime(date_time, '%Y-%m-%d')",
        "window": "time_bucket(INTERVAL '10 seconds', date_time)",
    },
}


@dataclass(frozen=True)
class Query:
    """A query over one data set, whose name is the name of the table in the SQL."""

    name: str
    title: str
    table: str
    mode: str
    text: str
    polars: Callable

    def sql(self, dialect: str) -> str:
        """The text in the dialect of an engine."""
        return self.text.format(**DIALECTS[dialect])

    @property
    def keeps_every_group(self) -> bool:
        """Whether the state of a stream ends up with one row for each row of the batch answer."""
        return self.mode == "UPDATE"


def _q1(pl, bid):
    return bid.select("auction", "bidder", 0.908 * pl.col("price"), "date_time", "extra")


def _q12(pl, bid):
    window = pl.col("date_time").dt.truncate("10s")
    return bid.group_by("bidder", window).agg(n=pl.len()).select("bidder", "n")


def _q17(pl, bid):
    price = pl.col("price")
    return bid.group_by("auction", day=pl.col("date_time").dt.strftime("%Y-%m-%d")).agg(
        total_bids=pl.len(),
        rank1_bids=(price < 10_000).sum(),
        rank2_bids=((price >= 10_000) & (price < 1_000_000)).sum(),
        rank3_bids=(price >= 1_000_000).sum(),
        min_price=price.min(),
        max_price=price.max(),
        avg_price=price.mean(),
        sum_price=price.sum(),
    )


def _count_and_sum(pl, rows):
    return rows.group_by("k").agg(n=pl.len(), total=pl.col("v").sum())


THROUGHPUT = [
    Query(
        name="q0",
        title="pass through",
        table="bid",
        mode="APPEND",
        text="SELECT auction, bidder, price, date_time, extra FROM bid",
        polars=lambda pl, bid: bid.select("auction", "bidder", "price", "date_time", "extra"),
    ),
    Query(
        name="q1",
        title="currency",
        table="bid",
        mode="APPEND",
        text="SELECT auction, bidder, CAST(0.908 AS DOUBLE) * price AS price, date_time, extra FROM bid",
        polars=_q1,
    ),
    Query(
        name="q2",
        title="filter",
        table="bid",
        mode="APPEND",
        text="SELECT auction, price FROM bid WHERE auction % 123 = 0",
        polars=lambda pl, bid: bid.filter(pl.col("auction") % 123 == 0).select("auction", "price"),
    ),
    Query(
        name="q12",
        title="tumbling count, event time",
        table="bid",
        mode="APPEND",
        text="SELECT bidder, count(*) AS n FROM bid GROUP BY bidder, {window}",
        polars=_q12,
    ),
    Query(
        name="q17",
        title="per auction and day",
        table="bid",
        mode="UPDATE",
        text="""SELECT auction, {day} AS day, count(*) AS total_bids,
            count(*) FILTER (WHERE price < 10000) AS rank1_bids,
            count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
            count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
            min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price
            FROM bid GROUP BY auction, {day}""",
        polars=_q17,
    ),
    Query(
        name="keys",
        title="count and sum by key",
        table="keyed",
        mode="UPDATE",
        text="SELECT k, count(*) AS n, sum(v) AS total FROM keyed GROUP BY k",
        polars=_count_and_sum,
    ),
]

# Over files so small that the work on their rows does not matter: what remains is the cost of a micro-batch.
LATENCY = [
    Query(
        name="stateless",
        title="pass through",
        table="small",
        mode="APPEND",
        text="SELECT k, v FROM small",
        polars=lambda pl, rows: rows,
    ),
    Query(
        name="aggregate",
        title="count and sum by key",
        table="small",
        mode="UPDATE",
        text="SELECT k, count(*) AS n, sum(v) AS total FROM small GROUP BY k",
        polars=_count_and_sum,
    ),
]

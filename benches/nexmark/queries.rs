//! The statements of the benchmark.

use super::Data;
use acequia::OutputMode;

/// A query over streams, and for DataFusion over tables of the same names.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The files that it reads, a stream each.
    pub(crate) streams: &'static [Data],
    pub(crate) stream: &'static str,
    /// The same for DataFusion, where it has to be written in another way.
    pub(crate) batch: Option<&'static str>,
    pub(crate) mode: OutputMode,
    /// Whether its streams declare a watermark.
    pub(crate) watermark: bool,
}

const BID: &[Data] = &[Data::Bids];

const F1: &str = "price < 10000";
const F2: &str = "price >= 10000 AND price < 1000000";
const F3: &str = "price >= 1000000";
const DAY: &str = "date_trunc('day', date_time)";
/// Of q15 and q16; F1, F2 and F3 are filters by price.
const COUNTS: &str = "count(*) AS bids, count(*) FILTER (WHERE F1) AS rank1, count(*) FILTER (WHERE F2) AS rank2,
  count(*) FILTER (WHERE F3) AS rank3, count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (WHERE F1) AS bidders1, count(DISTINCT bidder) FILTER (WHERE F2) AS bidders2,
  count(DISTINCT bidder) FILTER (WHERE F3) AS bidders3, count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (WHERE F1) AS auctions1, count(DISTINCT auction) FILTER (WHERE F2) AS auctions2,
  count(DISTINCT auction) FILTER (WHERE F3) AS auctions3";

/// Queries without a form of their own for batch are plain SQL.
pub(crate) const QUERIES: &[Query] = &[
    Query {
        name: "q0",
        title: "pass through",
        streams: BID,
        stream: "SELECT auction, bidder, price, date_time, extra FROM bid",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q1",
        title: "currency",
        streams: BID,
        stream: "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q2",
        title: "filter",
        streams: BID,
        stream: "SELECT auction, price FROM bid WHERE auction % 123 = 0",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q12",
        title: "tumbling count",
        streams: BID,
        stream: "SELECT bidder, count(*) AS n FROM bid GROUP BY bidder, window(date_time, '10 seconds')",
        batch: Some(
            "SELECT bidder, count(*) AS n FROM bid
             GROUP BY bidder, date_bin(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01')",
        ),
        mode: OutputMode::Append,
        watermark: true,
    },
    Query {
        name: "q14",
        title: "expressions",
        streams: BID,
        stream: "SELECT auction, bidder, 0.908 * price AS price,
               CASE WHEN date_part('hour', date_time) BETWEEN 8 AND 18 THEN 'dayTime'
                    WHEN date_part('hour', date_time) <= 6 OR date_part('hour', date_time) >= 20 THEN 'nightTime'
                    ELSE 'otherTime' END AS bid_time_type,
               date_time, extra, char_length(extra) - char_length(replace(extra, 'c', '')) AS c_counts
             FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q17",
        title: "auctions by day",
        streams: BID,
        stream: "SELECT auction, DAY AS day, count(*) AS n, count(*) FILTER (WHERE F1) AS cheap,
               count(*) FILTER (WHERE F2) AS middle,
               count(*) FILTER (WHERE F3) AS dear,
               min(price), max(price), avg(price), sum(price) FROM bid GROUP BY auction, DAY",
        batch: None,
        mode: OutputMode::Update,
        watermark: false,
    },
    Query {
        name: "q21",
        title: "channel id",
        streams: BID,
        stream: "SELECT auction, bidder, price, channel,
               CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'
                    WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3'
                    ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] END AS channel_id
             FROM bid WHERE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] IS NOT NULL
               OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q22",
        title: "directories of a url",
        streams: BID,
        stream: "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1,
               split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "keys",
        title: "5 M keys",
        streams: &[Data::Keys],
        stream: "SELECT k, count(*) AS n, sum(v) AS v FROM keyed GROUP BY k",
        batch: None,
        mode: OutputMode::Update,
        watermark: false,
    },
];

/// Joins, windows, DISTINCT and top rows, whose state is larger; over files of a quarter of the rows.
pub(crate) const STATEFUL: &[Query] = &[
    Query {
        name: "q3",
        title: "sellers of a category",
        streams: &[Data::Auctions, Data::People],
        stream: "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
             WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
    Query {
        name: "q4",
        title: "mean closing prices",
        streams: &[Data::Auctions, Data::Bids],
        stream: "SELECT q.category, avg(q.final) AS mean FROM (
               SELECT max(b.price) AS final, a.category FROM auction a, bid b
               WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
               GROUP BY a.id, a.category) q
             GROUP BY q.category",
        batch: None,
        mode: OutputMode::Update,
        watermark: false,
    },
    Query {
        name: "q5",
        title: "hot items",
        streams: BID,
        stream: "SELECT ab.auction, ab.num, ab.s FROM
               (SELECT auction, count(*) AS num, window_start AS s, window_end AS e
                FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND)
                GROUP BY auction, window_start, window_end) ab
               JOIN (SELECT max(c.num) AS maxn, s, e FROM
                 (SELECT count(*) AS num, window_start AS s, window_end AS e
                  FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND)
                  GROUP BY auction, window_start, window_end) c GROUP BY s, e) mb
               ON ab.s = mb.s AND ab.e = mb.e AND ab.num >= mb.maxn",
        batch: Some(
            "WITH hop AS (SELECT auction, s, count(*) AS num FROM
               (SELECT auction, unnest([b, b - INTERVAL '2 seconds', b - INTERVAL '4 seconds',
                  b - INTERVAL '6 seconds', b - INTERVAL '8 seconds']) AS s
                FROM (SELECT auction, date_bin(INTERVAL '2 seconds', date_time, TIMESTAMP '1970-01-01') AS b FROM bid))
               GROUP BY auction, s)
             SELECT ab.auction, ab.num, ab.s FROM hop ab
             JOIN (SELECT max(num) AS maxn, s FROM hop GROUP BY s) mb ON ab.s = mb.s AND ab.num >= mb.maxn",
        ),
        mode: OutputMode::Changes,
        watermark: true,
    },
    Query {
        name: "q7",
        title: "highest bids",
        streams: BID,
        stream: "SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM bid b JOIN
               (SELECT max(price) AS maxprice, window_end AS date_time
                FROM TUMBLE(bid, date_time, INTERVAL '10' SECOND) GROUP BY window_start, window_end) b1
               ON b.price = b1.maxprice
             WHERE b.date_time BETWEEN b1.date_time - INTERVAL '10' SECOND AND b1.date_time",
        batch: Some(
            "SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM bid b JOIN
               (SELECT max(price) AS maxprice, w + INTERVAL '10 seconds' AS date_time FROM
                 (SELECT price, date_bin(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01') AS w FROM bid)
                GROUP BY w) b1
               ON b.price = b1.maxprice
             WHERE b.date_time BETWEEN b1.date_time - INTERVAL '10' SECOND AND b1.date_time",
        ),
        mode: OutputMode::Append,
        watermark: true,
    },
    Query {
        name: "q8",
        title: "new people who sell",
        streams: &[Data::Auctions, Data::People],
        stream: "SELECT p.id, p.name, p.s FROM
               (SELECT id, name, window_start AS s, window_end AS e
                FROM TUMBLE(person, date_time, INTERVAL '10' SECOND) GROUP BY id, name, window_start, window_end) p
               JOIN (SELECT seller, window_start AS s, window_end AS e
                FROM TUMBLE(auction, date_time, INTERVAL '10' SECOND) GROUP BY seller, window_start, window_end) a
               ON p.id = a.seller AND p.s = a.s AND p.e = a.e",
        batch: Some(
            "SELECT p.id, p.name, p.s FROM
               (SELECT DISTINCT id, name, date_bin(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01') AS s
                FROM person) p
               JOIN (SELECT DISTINCT seller, date_bin(INTERVAL '10 seconds', date_time, TIMESTAMP '1970-01-01') AS s
                FROM auction) a
               ON p.id = a.seller AND p.s = a.s",
        ),
        mode: OutputMode::Append,
        watermark: true,
    },
    Query {
        name: "q9",
        title: "winning bids",
        streams: &[Data::Auctions, Data::Bids],
        stream: "SELECT * FROM (SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_time, b.extra AS bid_extra,
                 row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC, b.bidder) AS rownum
               FROM auction a, bid b WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)
             WHERE rownum <= 1",
        batch: None,
        mode: OutputMode::Changes,
        watermark: false,
    },
    Query {
        name: "q11",
        title: "sessions",
        streams: BID,
        stream: "SELECT bidder, count(*) AS bid_count, min(date_time) AS first_bid, max(date_time) AS last_bid
             FROM bid GROUP BY bidder, SESSION(date_time, INTERVAL '10' SECOND)",
        batch: Some(
            "SELECT bidder, count(*) AS bid_count, min(date_time) AS first_bid, max(date_time) AS last_bid FROM
               (SELECT bidder, date_time, sum(new) OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM
                 (SELECT bidder, date_time, CASE WHEN date_time - lag(date_time)
                    OVER (PARTITION BY bidder ORDER BY date_time) < INTERVAL '10' SECOND THEN 0 ELSE 1 END AS new
                  FROM bid))
             GROUP BY bidder, s",
        ),
        mode: OutputMode::Append,
        watermark: true,
    },
    Query {
        name: "q15",
        title: "bidders of a day",
        streams: BID,
        stream: "SELECT to_char(date_time, '%Y-%m-%d') AS day, COUNTS
             FROM bid GROUP BY to_char(date_time, '%Y-%m-%d')",
        batch: None,
        mode: OutputMode::Update,
        watermark: false,
    },
    Query {
        name: "q16",
        title: "bidders of a channel",
        streams: BID,
        stream: "SELECT channel, to_char(date_time, '%Y-%m-%d') AS day, max(to_char(date_time, '%H:%M')) AS minute, COUNTS
             FROM bid GROUP BY channel, to_char(date_time, '%Y-%m-%d')",
        batch: None,
        mode: OutputMode::Update,
        watermark: false,
    },
    Query {
        name: "q18",
        title: "last bids",
        streams: BID,
        stream: "SELECT auction, bidder, price, channel, url, date_time, extra FROM
               (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price) AS rn FROM bid)
             WHERE rn <= 1",
        batch: None,
        mode: OutputMode::Changes,
        watermark: false,
    },
    Query {
        name: "q19",
        title: "top ten bids",
        streams: BID,
        stream: "SELECT * FROM (SELECT *,
                 row_number() OVER (PARTITION BY auction ORDER BY price DESC, bidder, date_time) AS rn FROM bid)
             WHERE rn <= 10",
        batch: None,
        mode: OutputMode::Changes,
        watermark: false,
    },
    Query {
        name: "q20",
        title: "bids with auctions",
        streams: &[Data::Auctions, Data::Bids],
        stream: "SELECT auction, bidder, price, channel, url, b.date_time AS bid_time, b.extra AS bid_extra, item_name,
               description, initial_bid, reserve, a.date_time, expires, seller, category, a.extra
             FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
        batch: None,
        mode: OutputMode::Append,
        watermark: false,
    },
];

impl Query {
    pub(crate) fn streamed(&self) -> String {
        filled(self.stream)
    }

    pub(crate) fn batched(&self) -> String {
        filled(self.batch.unwrap_or(self.stream))
    }
}

fn filled(sql: &str) -> String {
    let parts = [("COUNTS", COUNTS), ("DAY", DAY), ("F1", F1), ("F2", F2), ("F3", F3)];
    parts.iter().fold(sql.to_string(), |sql, (name, text)| sql.replace(name, text))
}

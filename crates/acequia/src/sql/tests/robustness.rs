//! Arbitrary text never panics, hangs or overflows the stack.

use super::*;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

/// One statement of every kind.
const SEEDS: &[&str] = &[
    "CREATE OR REPLACE STREAM IF NOT EXISTS a.b (x INT NOT NULL PRIMARY KEY, p AS PROCTIME(), m INT METADATA FROM 'k' VIRTUAL, \
     g INT GENERATED ALWAYS AS (x + 1) STORED, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, ts TIMESTAMP(3)) COMMENT 'c' \
     WITH (connector = 'file', a.b.c = -1.5, 'x' = true)",
    "CREATE TABLE t (a INT) USING kafka OPTIONS (topic 'x')",
    "CREATE SINK k WITH (connector = 'parquet', path = $$x$$)",
    "CREATE MATERIALIZED VIEW v WITH (a = 1) AS SELECT window.start, window.*, count(*) FROM STREAM t WATERMARK ts AS e DELAY \
     OF INTERVAL 10 SECONDS AS x JOIN (SELECT 1) y USING (a) GROUP BY window(ts, '1 m'), GROUPING SETS ((a), (b)) \
     HAVING window.end > 1 ORDER BY window.start LIMIT 5 EMIT ON WINDOW CLOSE TRIGGER EVERY '5 s' WITH (name = 'q')",
    "INSERT INTO k (a, b) SELECT TUMBLE_START(ts, '1 m'), w['end'], CASE WHEN a THEN 1 END FROM TABLE(SESSION(TABLE t \
     PARTITION BY (a, b), DESCRIPTOR(ts), gap => '1 m')) AS w (a, b) WHERE a IN (SELECT b FROM HOP(u, ts, '1 m', '2 m')) \
     AND EXISTS (TABLE t) UNION ALL VALUES (1, 'a;') EMIT UPDATE",
    "WITH RECURSIVE c AS (SELECT 1) SELECT DISTINCT ON (a) a::INT[1], -x, NOT b, {'a': 1}, [1, 2], f(DISTINCT x ORDER BY y) \
     FILTER (WHERE z) OVER (PARTITION BY p ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM drop_duplicates(TABLE t, \
     DESCRIPTOR(a, b)), LATERAL (SELECT 1) FOR SYSTEM_TIME AS OF now() QUALIFY row_number() OVER w = 1 WINDOW w AS (ORDER BY a)",
    "SELECT * FROM (a LEFT ASOF JOIN b MATCH_CONDITION (a.t >= b.t) USING (k)) x JOIN c FOR SYSTEM_TIME AS OF x.t AS y ON x.k = y.k, d",
    "BEGIN; COMMIT; DROP STREAM IF EXISTS s; SHOW CREATE SINK k; SHOW MATERIALIZED VIEWS; DESCRIBE EXTENDED s; STOP QUERY q",
    "SET acequia.watermark.policy = 'max'; SET datafusion.x = 1; EXPLAIN STREAMING SELECT 1; EXPLAIN (ANALYZE) SELECT 1",
    "COPY (SELECT * FROM t) TO 'x' STORED AS CSV OPTIONS ('a' 'b'); CREATE EXTERNAL TABLE t (a INT) STORED AS CSV LOCATION 'x'",
    "SELECT 'é🐎', \"ň\", `b`, E'\\n', N'x', X'ff', U&'\\0061', 1e5, .5, 1.e, 0x1F /* /* */ */ -- c\n FROM t |> WHERE a",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = 1; UPDATE t SET a = 1; DELETE FROM t WHERE a",
    "ALTER TABLE t ADD COLUMN a INT; TRUNCATE TABLE t; PREPARE p AS SELECT $1; EXECUTE p (1); DEALLOCATE p; USE x; RESET a.b",
];

/// Pieces that statements are mended and broken with.
const PIECES: &[&str] = &[
    "(",
    ")",
    "((",
    "))",
    ",",
    ";",
    ".",
    "*",
    "'",
    "\"",
    "`",
    "$$",
    "--",
    "/*",
    "*/",
    "=",
    "=>",
    "::",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    "-",
    "+",
    "|>",
    ":",
    "@",
    "#",
    "?",
    "$1",
    "\\",
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{feff}",
    "é",
    "🐎",
    "0",
    "1.5",
    "1e",
    "0x",
    "''",
    "'a'",
    "E'\\",
    "U&'\\",
    "SELECT",
    "FROM",
    "TABLE",
    "STREAM",
    "WATERMARK",
    "FOR",
    "DELAY",
    "OF",
    "EMIT",
    "APPEND",
    "TRIGGER",
    "EVERY",
    "WITH",
    "AS",
    "PARTITION",
    "BY",
    "DESCRIPTOR",
    "TUMBLE",
    "SESSION",
    "window",
    "window.start",
    "GROUP",
    "ORDER",
    "INTERVAL",
    "CREATE",
    "INSERT",
    "INTO",
    "VALUES",
    "CASE",
    "WHEN",
    "END",
    "NOT",
    "NULL",
    "EXISTS",
    "IN",
    "ON",
    "JOIN",
    "UNION",
    "ALL",
    "OVER",
    "CAST",
    "MAP",
    "STRUCT",
    "ARRAY",
    "LATERAL",
    "USING",
    "OPTIONS",
    "SET",
    "SHOW",
    "TO",
    "t",
    "a.b",
    "x",
];

#[track_caller]
fn survives(text: &str) {
    let started = Instant::now();
    for statement in split(text) {
        if let Err(error) = statement.parse() {
            let at = error.location().unwrap_or_else(|| panic!("no place: {error} in {text:?}"));
            let lines: Vec<_> = text.split('\n').collect();
            let line = lines
                .get(at.line as usize - 1)
                .unwrap_or_else(|| panic!("no such line: {error} in {text:?}"));
            assert!(at.column as usize <= line.chars().count() + 1, "no such column: {error} in {text:?}");
            assert!(!error.message().is_empty());
        }
    }
    let _ = (is_complete(text), parse(text).count());
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}: {text:?}", started.elapsed());
}

fn mutate(text: &str, random: &mut SmallRng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=chars.len());
        let to = (at + random.random_range(0..12)).min(chars.len());
        let piece = PIECES.choose(random).unwrap();
        match random.random_range(0..4) {
            0 => drop(chars.drain(at..to)),
            1 => drop(chars.splice(at..at, format!(" {piece} ").chars())),
            2 => drop(chars.splice(at..to, piece.chars())),
            _ => {
                let copy: Vec<char> = chars[at..to].to_vec();
                drop(chars.splice(at..at, copy));
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_statements_never_panic_and_errors_point_into_the_text() {
    let mut random = SmallRng::seed_from_u64(7);
    for seed in SEEDS {
        survives(seed);
        for _ in 0..600 {
            survives(&mutate(seed, &mut random));
        }
    }
}

#[test]
fn token_soup_never_panics() {
    let mut random = SmallRng::seed_from_u64(11);
    for _ in 0..3000 {
        let length = random.random_range(0..40);
        let glue = if random.random_bool(0.8) { " " } else { "" };
        let soup: Vec<_> = (0..length).map(|_| *PIECES.choose(&mut random).unwrap()).collect();
        survives(&soup.join(glue));
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut random = SmallRng::seed_from_u64(13);
    for _ in 0..3000 {
        let bytes: Vec<u8> = (0..random.random_range(0..60)).map(|_| random.random()).collect();
        survives(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn deep_nesting_is_refused_not_overflowed() {
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("f(", "1", ")"),
        ("[", "1", "]"),
        ("NOT ", "a", ""),
        ("- ", "a", ""),
        ("CASE WHEN a THEN ", "1", " END"),
        ("(SELECT ", "1", ")"),
        ("CAST(", "1", " AS INT)"),
        ("a IN (", "1", ")"),
    ] {
        let text = format!("SELECT {}{middle}{} FROM t", open.repeat(5000), close.repeat(5000));
        let error = parse(&text).next().unwrap().unwrap_err();
        let refused = ["nested too deeply", "operators in a row"].iter().any(|m| error.message().contains(m));
        // From some words sqlparser goes back from too deep an expression and stumbles over what is left of it.
        assert!(refused || open.contains('T'), "{open}: {error}");
    }
    for n in 10..45 {
        // An error inside many of them must not be looked for in each anew.
        for open in [
            "CAST(",
            "NOT (",
            "f(",
            "(",
            "(SELECT ",
            "CASE WHEN ",
            "CASE(",
            "a IN (",
            "EXISTS (SELECT ",
            "[",
            "INTERVAL (",
            "STRUCT(",
            "TRIM(",
            "SUBSTRING(",
            "x -> ",
            "TUMBLE(",
            "TABLE(",
            "TABLE (SELECT ",
            "LATERAL (",
            "- ",
            "ROW(",
            "date(",
            "{'a': ",
            "ARRAY(",
            "MAP {",
            "a OR (",
            "a BETWEEN (",
            "f(TABLE (SELECT * FROM ",
        ] {
            survives(&format!("SELECT {} 1 1 {}", open.repeat(n), ")".repeat(n)));
            survives(&format!("SELECT * FROM {} 1 1 {}", open.repeat(n), ")".repeat(n)));
        }
    }
    for text in [
        format!("SELECT * FROM {}t{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(5000), ")".repeat(5000)),
        format!("SELECT * FROM {}t{}", "TUMBLE(TABLE ".repeat(5000), ", ts, '1 m')".repeat(5000)),
        format!("CREATE STREAM s (a {}INT{})", "ARRAY<".repeat(5000), ">".repeat(5000)),
        format!("SELECT * FROM t {}", "WATERMARK a DELAY OF '1 s' ".repeat(5000)),
        format!("SELECT * FROM t{}", " ASOF JOIN t MATCH_CONDITION (a > b)".repeat(1000)),
        "(".repeat(20_000),
        "EXPLAIN STREAMING ".repeat(20_000),
        "EXPLAIN ".repeat(20_000),
    ] {
        assert!(parse(&text).next().unwrap().is_err(), "{}", &text[..60]);
    }
}

#[test]
fn long_chains_do_not_overflow() {
    let longest = crate::sql::limits::LONGEST_CHAIN;
    for n in [longest / 2, longest - 2, 20_000] {
        for (text, link) in [
            ("SELECT 1", " + 1"),
            ("SELECT a", " OR a = 1"),
            ("SELECT a", "::INT"),
            ("SELECT a", " AT TIME ZONE 'x'"),
            ("SELECT a", " -> 'x'"),
            ("SELECT a", " || 'x'"),
            ("SELECT a", "[1]"),
            ("SELECT a", ".b"),
            ("SELECT a", " IS NULL"),
            ("SELECT 1", " UNION ALL SELECT 1"),
            ("SELECT 1", " INTERSECT SELECT 1"),
            ("SELECT 1", ", 1"),
            ("SELECT 1 WHERE a", " BETWEEN 1 AND 2"),
            ("SELECT * FROM t", " JOIN t ON true"),
            ("SELECT * FROM t", ", t"),
            ("SELECT * FROM t", " |> WHERE a"),
            ("VALUES (1)", ", (1)"),
        ] {
            let text = format!("{text}{}", link.repeat(n));
            let started = Instant::now();
            let statement = split(&text).remove(0);
            let parsed = statement.parse();
            assert!(n > longest || parsed.is_ok() || link == ".b", "{n} {link}: {parsed:?}");
            assert!(started.elapsed() < Duration::from_secs(60), "{n} {link} took {:?}", started.elapsed());
        }
    }
}

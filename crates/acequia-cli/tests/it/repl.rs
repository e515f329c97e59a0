//! The prompt with piped input: what is typed is given at once, and what is answered is compared as a whole.

use crate::process::{Acequia, lines, until};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the binary answers to this input.
fn piped(directory: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_acequia"))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The lines of a table that hold values, without its frame.
fn values(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

const BIDS: &str = "CREATE STREAM bids (item VARCHAR, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);\n";

#[test]
fn piped_statements_are_answered_in_order_without_a_word_more() {
    let cases: &[(&str, &[&str], i32)] = &[
        ("SELECT 1 AS a;", &["a", "1"], 0),
        ("SELECT 1 AS a; SELECT\n 'x;' AS b\n; -- done\n", &["a", "1", "b", "x;"], 0),
        ("SELECT 1 AS a", &["a", "1"], 0),
        ("", &[], 0),
        ("-- nothing\n\n", &[], 0),
        ("SELECT nope; SELECT 2 AS b;", &["b", "2"], 1),
        ("\\timing on\n\\x off\nSELECT 3 AS c;\n\\q\nSELECT 4 AS d;", &["c", "3"], 0),
        ("SELECT 5 AS e;\nexit\nSELECT 6;", &["e", "5"], 0),
        ("BEGIN;", &[], 1),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (input, expected, status) in cases {
        let answer = piped(directory.path(), input);
        let (out, errors) =
            (String::from_utf8(answer.stdout).unwrap(), String::from_utf8(answer.stderr).unwrap());
        assert_eq!(values(&out), *expected, "{input}: {out}{errors}");
        assert!(!out.contains('\x1b') && !out.contains("acequia>") && !out.contains(" ms"), "{input}: {out}");
        assert_eq!(answer.status.code(), Some(*status), "{input}: {errors}");
        assert_eq!(errors.is_empty(), *status == 0, "{input}: {errors}");
    }
}

#[test]
fn piped_errors_underline_the_spot_with_the_line_of_the_input() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.sql"), "SELECT 1;\nSELECT prise FROM (SELECT 1 AS price);\n")
        .unwrap();
    let cases = [
        ("SELECT 1;\n\nSELECT a,\n\tprise\nFROM (SELECT 1 AS a);", "\n4 |     prise\n  |     ^^^^^\n"),
        ("SELEC 1;", "\n1 | SELEC 1;\n  | ^^^^^\n"),
        ("SELECT 'a", "\n1 | SELECT 'a\n  |        ^^\n"),
        ("\\i a.sql", "\n --> a.sql:2:8\n2 | SELECT prise FROM (SELECT 1 AS price);\n  |        ^^^^^\n"),
        ("\\timng", "error: unknown command: `\\timng`; did you mean `\\timing`?\n"),
        ("\\i nosuch.sql", "nosuch.sql"),
    ];
    for (input, expected) in cases {
        let answer = piped(directory.path(), input);
        let errors = String::from_utf8(answer.stderr).unwrap();
        assert!(errors.starts_with("error: ") && errors.contains(expected), "{input}: {errors}");
        assert_eq!(answer.status.code(), Some(1));
    }
}

#[test]
fn piped_inserts_show_their_batches_at_once_and_memory_queries_end_with_the_input() {
    let input = format!(
        "{BIDS}SELECT item, count(*) AS n FROM bids GROUP BY item EMIT UPDATE;
INSERT INTO bids VALUES ('owl', 1, '2024-01-01 00:00:01');
SELECT 'between' AS word;
INSERT INTO bids VALUES ('owl', 2, '2024-01-01 00:00:02'), ('cat', 3, '2024-01-01 00:00:02');
"
    );
    let directory = tempfile::tempdir().unwrap();
    let answer = piped(directory.path(), &input);
    let out = String::from_utf8(answer.stdout).unwrap();
    let mut found = values(&out);
    assert_eq!(found.len(), 7, "{out}");
    found[5..].sort();
    assert_eq!(found, ["item n", "owl 1", "word", "between", "item n", "cat 1", "owl 2"], "{out}");
    assert_eq!(answer.status.code(), Some(0));
}

#[test]
fn piped_queries_hold_nothing_up_and_are_waited_for() {
    let input = "
CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '10', num_rows = '30');
CREATE SINK o WITH (connector = 'file', format = 'csv', path = 'out', header = 'false');
INSERT INTO o SELECT value FROM r;
SELECT 1 AS a;";
    let directory = tempfile::tempdir().unwrap();
    let answer = piped(directory.path(), input);
    assert_eq!(answer.status.code(), Some(0));
    assert_eq!(values(&String::from_utf8(answer.stdout).unwrap()), ["a", "1"]);
    assert_eq!(lines(&directory.path().join("out")).len(), 30);
}

#[test]
fn a_query_that_fails_ends_a_pipe_with_status_one() {
    let directory = tempfile::tempdir().unwrap();
    let input = format!(
        "{BIDS}SELECT 1 / (price - 1) AS x FROM bids;
CREATE STREAM r WITH (connector = 'rate');
CREATE SINK o WITH (connector = 'blackhole');
INSERT INTO o SELECT * FROM r;
INSERT INTO bids VALUES ('owl', 1, '2024-01-01 00:00:01');"
    );
    let answer = piped(directory.path(), &input);
    let errors = String::from_utf8(answer.stderr).unwrap();
    assert!(errors.contains("error: query `q1`: batch 0: "), "{errors}");
    assert_eq!(answer.status.code(), Some(1));
}

#[test]
fn signals_end_a_pipe_with_its_batches_committed() {
    for signal in ["TERM", "INT"] {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let mut run = Acequia::prompt(directory.path());
        run.type_in(
            "CREATE STREAM r WITH (connector = 'rate', rows_per_second = '2000', max_rows_per_batch = '37');
CREATE SINK o WITH (connector = 'file', format = 'csv', path = 'out', header = 'false', compact = 'true');
INSERT INTO o SELECT value FROM r EMIT APPEND WITH (name = 'q', checkpoint = 'checkpoint');\n",
        );
        until("there is output", || !lines(&out).is_empty());
        run.signal(signal);
        assert_eq!(run.finish().code(), Some(0), "{signal}");
        let mut numbers: Vec<usize> = lines(&out).iter().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "every row once after {signal}");
    }
}

#[test]
fn records_show_one_column_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let answer = piped(directory.path(), "\\x on\nSELECT 1 AS first, 'b' AS second;");
    let out = String::from_utf8(answer.stdout).unwrap();
    let line = |word: &str| out.lines().find(|line| line.contains(word)).map(str::to_string);
    assert!(line("first").is_some_and(|line| line.contains('1') && !line.contains("second")), "{out}");
}

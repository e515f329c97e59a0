//! What goes wrong is said, in every format.

use std::process::Command;

#[test]
fn a_file_that_cannot_be_read_is_told_in_json_format_too() {
    let run = Command::new(env!("CARGO_BIN_EXE_acequia"))
        .args(["run", "no-such-file.sql", "--step", "--format", "json"])
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(stderr.contains("no-such-file.sql"), "{stderr}");
    assert_eq!(run.status.code(), Some(1));
    assert!(run.stdout.is_empty());
}

/// Standard output and the exit status of a run of these statements.
fn run(input: &str, options: &[&str]) -> (String, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.sql");
    std::fs::write(&file, input).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_acequia")).arg("run").arg(file).args(options).output();
    let run = run.expect("the binary runs");
    (String::from_utf8(run.stdout).unwrap(), run.status.code())
}

#[test]
fn every_failure_of_a_run_is_an_event() {
    let query = "CREATE STREAM s (a BIGINT); SELECT 1 / a AS x FROM s; INSERT INTO s VALUES (0);";
    let (out, status) = run(query, &["--format", "json"]);
    assert!(
        out.contains(r#"{"event":"error","statement":3,"kind":"data","message":"query `q1`: batch 0: "#),
        "{out}"
    );
    assert_eq!(status, Some(1));
    let (out, status) = run("SELECT 1;\n-- sort: columns\nSELECT 2;", &["--step", "--format", "json"]);
    assert!(
        out.contains(r#"{"event":"error","statement":2,"kind":"invalid","message":"not a directive"#),
        "{out}"
    );
    assert_eq!(status, Some(1));
}

#[test]
fn an_expected_failure_of_a_query_is_told_once() {
    let file = "CREATE STREAM s (a BIGINT); SELECT 1 / a AS x FROM s; SELECT a FROM s;
-- error: divide by zero
INSERT INTO s VALUES (0);
INSERT INTO s VALUES (1);";
    let (out, status) = run(file, &["--step", "--format", "json"]);
    assert_eq!(out.matches(r#""event":"error""#).count(), 1, "{out}");
    let events = [r#"[[0]]"#, r#""event":"error","statement":4"#, r#"[[1]]"#].map(|text| out.find(text));
    assert!(events[0].is_some() && events.is_sorted(), "{out}");
    assert_eq!(status, Some(0));
}

#[test]
fn a_byte_order_mark_begins_no_statement() {
    assert_eq!(run("\u{feff}SELECT 1 AS a;", &["--step", "--format", "json"]).1, Some(0));
}

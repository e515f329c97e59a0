//! A secret in options appears nowhere: not in what is printed, told as an error, or kept.

use std::path::Path;
use std::process::Command;

const SECRET: &str = "hunter2-of-the-test";

/// Statements that hold the secret, each of which fails or succeeds in its own way.
const STATEMENTS: &[&str] = &[
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = 'in', format = 'json', password = '{}');",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'sock', password = '{}');",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'rate', 'sasl.password' = '{}', rows_per_second = 'x');",
    "CREATE TABLE s (a BIGINT) USING rate OPTIONS (token '{}');",
    "CREATE SINK o WITH (connector = 'parquet', path = 'out', secret_key = '{}');",
    "CREATE SINK o WITH (connector = 'parquet', path = 'out', secret_key = '{}' oops);",
    "CREATE STREAM s (a BIGINT, WATERMARK FOR b) WITH (connector = 'rate', password = '{}') x;",
    "INSERT INTO o SELECT * FROM r WITH (name = 'q', password = '{}');",
    "SET acequia.password = '{}';",
    "EXPLAIN STREAMING INSERT INTO o SELECT * FROM r WITH (api_key = '{}');",
];

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn secrets_appear_nowhere() {
    let mut told = 0;
    for statement in STATEMENTS {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "CREATE STREAM r (value BIGINT) WITH (connector = 'rate', rows_per_batch = '2', num_rows = '4');
             CREATE SINK o WITH (connector = 'file', format = 'json', path = 'out');
             INSERT INTO o SELECT value FROM r WITH (name = 'first', checkpoint = 'chk');
             SHOW STREAMS; SHOW SINKS; SHOW CREATE STREAM r; DESCRIBE EXTENDED r; SELECT * FROM progress('first');
             {}",
            statement.replace("{}", SECRET)
        );
        let run = |arguments: &[&str]| {
            let file = directory.path().join("run.sql");
            std::fs::write(&file, &text).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_acequia"));
            command.args(arguments).current_dir(directory.path()).env("ACEQUIA_HISTORY", "history");
            if arguments.is_empty() {
                command.stdin(std::fs::File::open(&file).unwrap());
            }
            let output = command.output().unwrap();
            std::fs::remove_file(&file).unwrap();
            [output.stdout, output.stderr].concat()
        };
        for arguments in
            [&["run", "run.sql", "--step"][..], &["run", "run.sql", "--step", "--format", "json"], &[]]
        {
            let printed = String::from_utf8_lossy(&run(arguments)).into_owned();
            assert!(!printed.contains(SECRET), "{statement} {arguments:?}: {printed}");
            told += usize::from(printed.contains("error"));
        }
        for file in files(directory.path()) {
            let content = std::fs::read(&file).unwrap();
            assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{statement}: {}", file.display());
        }
    }
    assert!(told > 2 * STATEMENTS.len(), "most of the statements fail: {told}");
}

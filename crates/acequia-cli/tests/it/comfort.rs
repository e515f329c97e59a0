//! What a person at a terminal sees and a script does not: the lines of running queries. Exit statuses, completions.

use rexpect::session::spawn_command;
use std::io::Read;
use std::process::{Command, Output, Stdio};

/// How long a terminal may take to show something, in milliseconds.
const PATIENCE: u64 = 60_000;

const COUNTS: &str = "
CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '500', num_rows = '2000');
CREATE SINK b WITH (connector = 'blackhole');
INSERT INTO b SELECT value % 10 AS k, count(*) AS n FROM r GROUP BY 1 EMIT UPDATE WITH (name = 'totals');
";

fn acequia(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acequia"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    acequia(arguments).output().expect("the binary runs")
}

fn script(text: &str) -> tempfile::TempPath {
    let file = tempfile::Builder::new().suffix(".sql").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file.into_temp_path()
}

#[test]
fn terminal_shows_what_runs_and_a_pipe_does_not() {
    let file = script(COUNTS);
    let mut terminal = spawn_command(acequia(&["run", file.to_str().unwrap()]), Some(PATIENCE)).unwrap();
    terminal.exp_string("note: the state of query `totals` only grows: aggregate#0").unwrap();
    terminal.exp_string("totals").unwrap();
    terminal.exp_string("ended: 4 batches, 2,000 rows in").unwrap();
    terminal.exp_eof().unwrap();

    let piped = output(&["run", file.to_str().unwrap()]);
    let note = "note: the state of query `totals` only grows: aggregate#0: no event-time column with a watermark in GROUP BY\n";
    assert_eq!((piped.stdout, piped.stderr), (vec![], note.as_bytes().to_vec()));
    assert_eq!(piped.status.code(), Some(0));
}

#[test]
fn second_interrupt_ends_a_run_whose_batch_has_no_end() {
    let file = script(
        "CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '1000000000000');
         SELECT value FROM r WHERE value < 0 EMIT APPEND;",
    );
    let mut terminal = spawn_command(acequia(&["run", file.to_str().unwrap()]), Some(PATIENCE)).unwrap();
    terminal.exp_string("q1").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string("Ctrl-C again ends at once").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string("ended in the middle of a batch").unwrap();
    terminal.exp_eof().unwrap();
}

#[test]
fn run_whose_reader_has_gone_away_ends() {
    let file = script(
        "CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '1');
         SELECT value FROM r EMIT APPEND;",
    );
    for format in ["text", "json"] {
        let mut run = acequia(&["run", file.to_str().unwrap(), "--format", format]);
        let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 100];
        run.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = run.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr), (Some(0), vec![]), "{format}");
    }
}

#[test]
fn exit_status_is_as_documented() {
    let (good, bad) = (script("SELECT 1;"), script("SELECT 1;\nSELECT nothing;\nSELECT 2;"));
    let expected = script("-- error: nothing\nSELECT nothing;");
    let table: [(&[&str], i32); 8] = [
        (&["run", good.to_str().unwrap()], 0),
        (&["run", expected.to_str().unwrap()], 0),
        (&["run", bad.to_str().unwrap()], 1),
        (&["run", bad.to_str().unwrap(), "--step", "--format", "json"], 1),
        (&["run", "no-such-file.sql"], 1),
        (&["test", "no-such-directory"], 1),
        (&["run"], 2),
        (&["walk"], 2),
    ];
    for (arguments, status) in table {
        assert_eq!(output(arguments).status.code(), Some(status), "{arguments:?}");
    }
    let stderr = String::from_utf8(output(&["run", bad.to_str().unwrap()]).stderr).unwrap();
    let place = format!(" --> {}:2:8\n2 | SELECT nothing;\n  |        ^^^^^^^\n", bad.display());
    assert!(stderr.starts_with("error: ") && stderr.ends_with(&place), "{stderr}");
    assert_eq!(stderr.matches("error").count(), 1, "told once: {stderr}");
    let told = output(&["run", bad.to_str().unwrap(), "--format", "json"]);
    let lines = String::from_utf8(told.stdout).unwrap();
    assert!(
        lines.contains("\"kind\":\"invalid\"") && !lines.contains("[[2]]"),
        "an error ends the file: {lines}"
    );
}

#[test]
fn shells_complete_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(output(&["completions", shell]).stdout).unwrap();
        for word in ["run", "test", "completions", "step", "bless"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

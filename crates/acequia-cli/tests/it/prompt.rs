//! The prompt in a terminal.

use crate::process::until;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use std::path::Path;
use std::process::Command;

/// Milliseconds in which everything that is expected has to come.
const DEADLINE: u64 = 30_000;
const TAB: &str = "\t";
const INTERRUPT: char = 'c';

/// Someone at a terminal.
struct Person {
    session: PtySession,
}

impl Person {
    /// Starts the prompt, with the history in this directory.
    fn at(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acequia"));
        command.current_dir(directory).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.env("ACEQUIA_HISTORY", directory.join("history"));
        let options = Options::new().timeout_ms(Some(DEADLINE)).strip_ansi_escape_codes(true);
        let mut person = Self { session: spawn_with_options(command, options).unwrap() };
        person.sees("\\q to leave.");
        person.sees("acequia> ");
        person
    }

    /// Presses the keys of a text and Enter.
    fn enters(&mut self, text: &str) {
        self.types(&format!("{text}\r"));
    }

    /// Presses the keys of a text.
    fn types(&mut self, text: &str) {
        self.session.send(text).unwrap();
        self.session.flush().unwrap();
    }

    fn interrupts(&mut self) {
        self.session.send_control(INTERRUPT).unwrap();
    }

    /// Waits for a text; gives what came before it.
    fn sees(&mut self, text: &str) -> String {
        self.session.exp_string(text).unwrap_or_else(|e| panic!("not seen: {text}: {e}"))
    }

    fn leaves(mut self) {
        self.enters("\\q");
        self.session.exp_eof().unwrap();
        let status = self.session.process().wait().unwrap();
        assert!(format!("{status:?}").contains(", 0)"), "{status:?}");
    }
}

#[test]
fn statements_of_several_lines_are_answered_with_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("SELECT 1 AS a,");
    person.sees("     -> ");
    person.enters("2 AS bb;");
    person.sees("| a | bb |");
    person.sees("1 row in ");
    person.sees(" ms");
    person.enters("\\timing off");
    person.sees("times are not shown");
    person.enters("SELECT 3 AS ccc;");
    person.sees("| ccc |");
    let answer = person.sees("acequia> ");
    assert!(answer.contains("1 row") && !answer.contains("1 row in"), "{answer}");
    person.leaves();
}

#[test]
fn a_continuous_select_runs_until_ctrl_c_and_the_prompt_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("CREATE STREAM r WITH (connector = 'rate', rows_per_second = '50');");
    person.sees("acequia> ");
    person.enters("SELECT value FROM r;");
    person.sees("Batch: 1");
    person.interrupts();
    person.sees("query `q1` stopped: ");
    person.sees("acequia> ");
    person.enters("SELECT 41 + 1 AS answer;");
    person.sees("42");
    person.enters("SELECT count(*) FROM generate_series(1, 1000000000000);");
    // The keys have been taken when the editor has gone to the next line.
    person.sees("1000000000000);");
    person.sees("\n");
    person.interrupts();
    person.sees("cancelled");
    person.sees("acequia> ");
    person.interrupts();
    person.sees("\\q or Ctrl-D leaves");
    person.types("SELECT nonsense");
    person.sees("nonsense");
    person.interrupts();
    person.sees("acequia> ");
    person.enters("SELECT 6 * 7 AS again;");
    person.sees("again");
    person.leaves();
}

#[test]
fn a_batch_without_end_keeps_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("CREATE STREAM r WITH (connector = 'rate', rows_per_batch = '1000000000000');");
    person.sees("stream `r` created");
    // An interrupt that comes before the query runs cancels the statement.
    let query = loop {
        person.enters("SELECT value FROM r WHERE value < 0 EMIT APPEND;");
        person.sees("APPEND;\r\r\n");
        person.interrupts();
        let outcome = "cancelled|stopping query `(q[0-9]+)` after its batch";
        let (_, seen) = person.session.exp_regex(outcome).unwrap();
        if let Some(name) = seen.split('`').nth(1) {
            break name.to_string();
        }
    };
    person.interrupts();
    person.sees(&format!("query `{query}` ends with the batch that runs"));
    person.enters("SELECT 40 + 2 AS answer;");
    person.sees("42");
    person.enters("\\q");
    person.sees(&format!("stopping query `{query}`; Ctrl-C leaves without waiting"));
    person.interrupts();
    person.session.exp_eof().unwrap();
}

#[test]
fn batches_of_the_background_come_below_the_insert_and_above_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("CREATE STREAM s (word VARCHAR);");
    person.sees("acequia> ");
    person.enters("SELECT word FROM s;");
    person.sees("query `q1` runs in the background");
    person.sees("acequia> ");
    person.enters("INSERT INTO s VALUES ('heron');");
    person.sees("Batch: 0");
    person.sees("| heron |");
    person.sees("1 row inserted");
    person.sees("acequia> ");
    // Batches that come by themselves, while a line is typed.
    person.enters("CREATE STREAM r WITH (connector = 'rate', rows_per_second = '20');");
    person.sees("acequia> ");
    person.enters("CREATE SINK c WITH (connector = 'console');");
    person.sees("acequia> ");
    person.enters("INSERT INTO c SELECT value AS beat FROM r WITH (name = 'ticks');");
    person.sees("query `ticks` runs in the background");
    person.sees("acequia> ");
    person.types("SELECT 'unharmed'");
    person.sees("acequia> SELECT 'unharmed'");
    person.sees("Batch: ");
    person.sees("acequia> SELECT 'unharmed'");
    person.enters(" AS line;");
    person.sees("| line     |");
    person.enters("STOP QUERY ticks;");
    person.sees("query `ticks` stopped");
    person.enters("STOP QUERY q1;");
    person.sees("query `q1` stopped");
    person.leaves();
}

#[test]
fn a_failure_in_the_background_is_told_and_errors_underline_the_spot() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("SELECT 1,");
    person.sees("     -> ");
    person.enters("  prise;");
    person.sees("error: ");
    person.sees("2 |   prise;");
    person.sees("^^^^^");
    person.sees("acequia> ");
    person.enters("CREATE STREAM s (n BIGINT); SELECT 1 / n AS x FROM s;");
    person.sees("runs in the background");
    person.sees("acequia> ");
    person.enters("INSERT INTO s VALUES (0);");
    person.sees("error: query `q1`: batch 0: ");
    person.sees("acequia> ");
    person.leaves();
}

#[test]
fn tab_completes_and_the_history_outlives_the_session_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("CREATE STREAM sandpipers (wingspan BIGINT);");
    person.sees("acequia> ");
    person.enters(&format!("sele{TAB} wing{TAB}+1 from sandp{TAB};"));
    // The columns are those of the table that is named, which here comes later: nothing is found yet.
    person.sees("error: ");
    person.sees("acequia> ");
    person.enters(&format!("DESCRIBE sandp{TAB};"));
    person.sees("wingspan");
    person.sees("acequia> ");
    person.enters("CREATE SINK x WITH (connector = 'console', password = 'hunter2');");
    person.sees("unknown option");
    person.sees("acequia> ");
    person.enters("SELECT 7,");
    person.sees("     -> ");
    person.enters("'kept whole' AS eight;");
    person.sees("eight");
    person.sees("acequia> ");
    person.leaves();

    let history = std::fs::read_to_string(directory.path().join("history")).unwrap();
    assert!(history.contains("kept whole") && history.contains("DESCRIBE sandpipers"), "{history}");
    assert!(!history.contains("hunter2"), "{history}");

    let mut person = Person::at(directory.path());
    const UP: &str = "\x1b[A";
    person.types(UP);
    person.sees("'kept whole' AS eight;");
    person.enters("");
    person.sees("| Int64(7) | eight      |");
    person.sees("acequia> ");
    person.leaves();
}

#[test]
fn a_whole_file_can_be_pasted() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    let file = "-- a tour
CREATE STREAM bids (item VARCHAR, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);

SELECT window.start AS start, max(price) AS top
FROM bids GROUP BY window(ts, '10 seconds');
-- error: nothing of this name
SELECT * FROM nosuch;
INSERT INTO bids VALUES ('owl', 10, '2024-01-01 00:00:01'), ('owl', 30, '2024-01-01 00:00:03');
INSERT INTO bids VALUES ('owl', 5, '2024-01-01 00:00:21');  -- closes the first window
SHOW QUERIES;
";
    person.types(&format!("\x1b[200~{file}\x1b[201~\r"));
    person.sees("query `q1` runs in the background");
    person.sees("^^^^^^");
    person.sees("2 rows inserted");
    person.sees("| 2024-01-01 00:00:00 |  30 |");
    person.sees("1 row inserted");
    person.sees("running");
    person.sees("acequia> ");
    person.leaves();
}

#[test]
fn a_termination_in_the_middle_of_a_line_commits_and_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::at(directory.path());
    person.enters("CREATE STREAM r WITH (connector = 'rate', rows_per_second = '20');");
    person.sees("acequia> ");
    person.enters("CREATE SINK c WITH (connector = 'blackhole');");
    person.sees("acequia> ");
    person.enters("INSERT INTO c SELECT value FROM r WITH (checkpoint = 'chk');");
    person.sees("acequia> ");
    let last = |log: &str| {
        let names = std::fs::read_dir(directory.path().join("chk").join(log)).ok()?;
        names.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()).max()
    };
    until("a batch is committed", || last("commits").is_some());
    person.types("SELECT");
    person.session.process_mut().signal(rexpect::process::Signal::SIGTERM).unwrap();
    person.session.exp_eof().unwrap();
    assert_eq!(last("offsets"), last("commits"), "no batch is left begun");
}

//! SIGTERM and Ctrl-C: the batch is finished and committed, and the exit status is 0.

use crate::process::{Acequia, lines, until};

const STATEMENTS: &str = "
CREATE STREAM r WITH (connector = 'rate', rows_per_second = '2000', max_rows_per_batch = '37');
CREATE SINK o WITH (connector = 'file', format = 'csv', path = 'out', header = 'false', compact = 'true');
INSERT INTO o SELECT value FROM r EMIT APPEND WITH (name = 'q', checkpoint = 'checkpoint');
";

#[test]
fn signals_finish_the_batch_and_exit_with_zero() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut before = 0;
    for signal in ["TERM", "INT", "TERM"] {
        let run = Acequia::run(directory.path(), STATEMENTS);
        until("there is more output", || lines(&out).len() > before);
        run.signal(signal);
        assert_eq!(run.finish().code(), Some(0), "{signal}");
        let mut numbers: Vec<usize> = lines(&out).iter().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "every row once after {signal}");
        before = numbers.len();
        let last = |log: &str| {
            let names = std::fs::read_dir(directory.path().join("checkpoint").join(log)).unwrap();
            names.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()).max()
        };
        assert_eq!(last("offsets"), last("commits"), "no batch is left begun after {signal}");
    }
}

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

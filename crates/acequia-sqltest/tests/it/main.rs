//! Every file of `sql-tests`, in every variant.

use acequia_sqltest::Suite;
use acequia_sqltest::suite::Outcome;
use std::path::Path;

#[test]
fn every_sql_test_passes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql-tests");
    let suite = Suite { paths: vec![directory], bless: false, filter: None, jobs: 2 };
    let mut problems = String::new();
    let summary = suite
        .run(|file, outcome| {
            if let Outcome::Failed(problem) = outcome {
                problems += &format!("{}\n{problem}\n", file.display());
            }
        })
        .unwrap();
    assert_eq!(summary.failed, 0, "{summary}\n{problems}");
    assert!(summary.checks > summary.passed, "the oracle compared only {} times", summary.checks);
}

//! Directories read by their path: `SELECT * FROM 'out/totals'`. DataFusion reads the files that end as the first one
//! does; what ends otherwise would be left out in silence. A path is told from a name by its `/`.

use acequia_core::{Error, Result};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::visit_relations;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

/// Refuses a statement that reads a directory with files of several formats.
///
/// # Errors
/// `Invalid` naming the directory and the endings.
pub(super) fn check(statement: &Statement) -> Result<()> {
    let Statement::Statement(statement) = statement else { return Ok(()) };
    let visited = visit_relations(statement.as_ref(), |name| {
        let [part] = &name.0[..] else { return ControlFlow::Continue(()) };
        let Some(path) = part.as_ident().filter(|ident| ident.value.contains('/')) else {
            return ControlFlow::Continue(());
        };
        let mut found = BTreeSet::new();
        endings(Path::new(&path.value), &mut found);
        if found.len() < 2 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break((path.value.clone(), found))
        }
    });
    let ControlFlow::Break((path, found)) = visited else { return Ok(()) };
    let found: Vec<String> = found.into_iter().collect();
    Err(Error::invalid(format!(
        "a directory has files with several endings: path=`{path}` endings=[{}]; read one of them with CREATE EXTERNAL TABLE t STORED AS ... LOCATION '{path}'",
        found.join(", ")
    )))
}

/// The endings of all files that readers do not skip; none for what is no directory.
fn endings(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if entry.path().is_dir() {
            endings(&entry.path(), found);
        } else {
            found.insert(ending(&name.to_lowercase()));
        }
    }
}

/// `json` or, compressed, `json.gz`.
fn ending(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((rest, packed @ ("gz" | "zst" | "bz2" | "xz"))) => match rest.rsplit_once('.') {
            Some((_, ending)) => format!("{ending}.{packed}"),
            None => packed.to_string(),
        },
        Some((_, ending)) => ending.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ending_is_the_format_and_how_it_is_packed() {
        let cases = [
            ("a.json", "json"),
            ("a.2024.csv", "csv"),
            ("a.b.json.gz", "json.gz"),
            ("a.zst", "zst"),
            ("a", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(super::ending(name), expected, "{name}");
        }
    }
}

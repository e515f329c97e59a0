//! Holds the shape of the house: floors, rooms, and the size of files and functions. ARCHITECTURE.md draws it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates by floor; one may use only crates of lower floors.
const FLOORS: &[(&str, u32)] = &[
    ("acequia-core", 0),
    ("acequia-state", 1),
    ("acequia-connectors", 1),
    ("acequia", 2),
    ("acequia-sqltest", 3),
    ("acequia-cli", 4),
    ("acequia-fuzz", 4),
];

/// Rooms of the crate `acequia` from the bottom up; one may use only rooms of lower numbers.
const ROOMS: &[(&str, u32)] = &[
    ("error", 0),
    ("functions", 1),
    ("sql", 1),
    ("catalog", 2),
    ("exec", 3),
    ("plan", 4),
    ("runtime", 5),
    ("session", 6),
    ("dataset", 7),
];

/// Lines of code of a file, tests left out, beyond which it is more than one subject.
const FILE_LINES: usize = 620;

/// Lines of a function, beyond which it is not read in one go.
const FUNCTION_LINES: usize = 75;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = vec![];
    for (name, _) in FLOORS {
        rust_files(&workspace().join("crates").join(name).join("src"), &mut files);
    }
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The part of a file before its test module.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |end| &text[..end])
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name.ends_with("tests")
        || name == "twin"
        || path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "conformance")
}

#[test]
fn crates_use_only_lower_floors() {
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    for (name, floor) in FLOORS {
        let manifest = fs::read_to_string(workspace().join("crates").join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if let Some(below) = floors.get(dependency) {
                assert!(below < floor, "{name} must not use {dependency}: it is on the same floor or above");
            }
            assert!(
                *floor >= 2 || !dependency.starts_with("datafusion"),
                "{name} must build without DataFusion"
            );
        }
    }
}

#[test]
fn modules_of_the_engine_use_only_lower_rooms() {
    let rooms: BTreeMap<&str, u32> = ROOMS.iter().copied().collect();
    let engine = workspace().join("crates/acequia/src");
    for (path, text) in sources() {
        if let Ok(inside) = path.strip_prefix(&engine) {
            check_rooms(&rooms, inside, &text);
        }
    }
}

fn check_rooms(rooms: &BTreeMap<&str, u32>, inside: &Path, text: &str) {
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    let room = first.trim_end_matches(".rs");
    let Some(own) = rooms.get(room) else { return };
    for (number, line) in without_tests(text).lines().enumerate() {
        for piece in line.split("crate::").skip(1) {
            let target: String = piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(other) = rooms.get(target.as_str()) {
                let allowed = target == room || other < own;
                assert!(allowed, "{}:{}: `{room}` must not use `{target}`", inside.display(), number + 1);
            }
        }
    }
}

#[test]
fn files_are_one_subject() {
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        assert!(is_test_file(&path) || lines <= FILE_LINES, "{}: {lines} lines of code", path.display());
    }
}

#[test]
fn functions_are_read_in_one_go() {
    for (path, text) in sources() {
        if is_test_file(&path) {
            continue;
        }
        let mut start: Option<(usize, usize, &str)> = None;
        for (number, line) in without_tests(&text).lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let word = line.trim_start();
            let begins = [
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) fn ",
                "pub(super) async fn ",
                "pub(crate) fn ",
            ]
            .iter()
            .any(|prefix| word.starts_with(prefix));
            if begins && !word.ends_with(';') && !word.ends_with('}') {
                start = Some((number, indent, word));
            } else if word == "}" && start.is_some_and(|(_, at, _)| at == indent) {
                let (from, _, name) = start.take().unwrap();
                let lines = number - from;
                assert!(lines <= FUNCTION_LINES, "{}:{}: {lines} lines: {name}", path.display(), from + 1);
            }
        }
    }
}

#[test]
fn nothing_is_left_open_and_no_place_of_one_machine_is_named() {
    for (path, text) in sources() {
        for word in [
            "todo!(",
            "unimplemented!(",
            concat!("FIX", "ME"),
            "#[ignore",
            concat!("/wo", "rk/"),
            concat!("/ho", "me/"),
        ] {
            assert!(!text.contains(word), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources() {
        let test_file = is_test_file(&path);
        assert!(test_file || text.starts_with("//!"), "{}: no module doc", path.display());
    }
}

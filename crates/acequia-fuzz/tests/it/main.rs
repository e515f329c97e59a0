//! Every seed, whole and damaged, through its target: what a fuzzer begins with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use acequia_fuzz::TARGETS;
use acequia_fuzz::checkpoint::pack;
use acequia_fuzz::queries::check;
use std::path::{Path, PathBuf};

fn inside(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(place)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = inside("corpus").join(target);
    let mut seeds: Vec<Vec<u8>> = files(&directory).iter().map(|file| std::fs::read(file).unwrap()).collect();
    if target == "sql" {
        let scripts = files(&inside("../../sql-tests"));
        let scripts = scripts.iter().filter(|file| file.extension().is_some_and(|e| e == "sql"));
        seeds.extend(scripts.map(|file| std::fs::read(file).unwrap()));
    }
    assert!(seeds.len() > 2, "{target}: {} seeds", seeds.len());
    seeds
}

/// A seed cut short, with a byte changed, with a piece twice; the places differ from seed to seed.
fn damaged(seed: &[u8], number: usize) -> Vec<Vec<u8>> {
    let at = |n: usize| (number * 31 + n * 97) % seed.len().max(1);
    let mut all = vec![seed[..at(1).min(seed.len())].to_vec()];
    for (n, value) in [0, 0xFF, b'\'', b'(', b'9'].into_iter().enumerate() {
        let mut changed = seed.to_vec();
        if let Some(byte) = changed.get_mut(at(n + 2)) {
            *byte = value;
        }
        all.push(changed);
    }
    let (from, to) = (at(7).min(at(8)), at(7).max(at(8)));
    all.push([&seed[..to], &seed[from..]].concat());
    all
}

fn run(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    for (number, seed) in seeds(target).iter().enumerate() {
        run(seed);
        damaged(seed, number).iter().for_each(|input| run(input));
    }
    run(&[]);
}

#[test]
fn sql_is_taken_or_refused() {
    run("sql");
}

#[test]
fn queries_are_planned_or_refused() {
    run("plan");
}

#[test]
fn options_are_taken_or_refused() {
    run("options");
}

#[test]
fn files_are_read_or_refused() {
    run("decode");
}

/// These are not for libFuzzer: see the target.
#[test]
fn parquet_and_arrow_files_with_any_byte_damaged_are_read_or_refused() {
    for name in ["parquet", "arrow"] {
        let seed = std::fs::read(inside("corpus/decode").join(name)).unwrap();
        for at in 1..seed.len() {
            for damage in [0x80, 0x01] {
                let mut damaged = seed.clone();
                damaged[at] ^= damage;
                acequia_fuzz::decode::run(&damaged);
            }
        }
    }
}

#[test]
fn checkpoints_are_read_or_refused() {
    run("checkpoint");
}

/// Seeds of `checkpoint` are packed from the kept checkpoints.
#[test]
fn seeds_hold_the_kept_checkpoints() {
    let kept = inside("../acequia-state/tests/data");
    for checkpoint in std::fs::read_dir(&kept).unwrap() {
        let root = checkpoint.unwrap().path();
        let contents: Vec<(String, Vec<u8>)> = files(&root)
            .iter()
            .map(|file| {
                (file.strip_prefix(&root).unwrap().display().to_string(), std::fs::read(file).unwrap())
            })
            .collect();
        let packed = pack(contents.iter().map(|(name, content)| (name.as_str(), content.as_slice())));
        let name = root.file_name().unwrap().to_string_lossy().into_owned();
        let seed = inside("corpus/checkpoint").join(&name);
        assert_eq!(std::fs::read(&seed).ok(), Some(packed), "{name}: pack the checkpoint again");
    }
}

/// Of a hundred generated queries so many may be refused as not incremental, at most.
const REFUSED: u64 = 6;

#[test]
fn random_queries_give_the_batch_answer_after_every_batch() {
    const QUERIES: u64 = 200;
    let summary = check(0..QUERIES, 2, |_, _| {});
    println!("{summary}");
    assert!(summary.wrong.is_empty(), "{summary}");
    assert!(summary.checks as u64 > 2 * summary.right, "{summary}");
    assert!(summary.deaths as u64 > QUERIES / 8, "{summary}");
    assert!(summary.refusals() * 100 <= REFUSED * QUERIES, "{summary}");
    assert!(summary.thrown_away() * 20 <= QUERIES, "{summary}");
}

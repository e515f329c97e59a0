//! Checkpoints with their output that earlier versions wrote, kept in `tests/data`: every later version goes on with
//! them, to the output that it would have given alone.

use crate::power::{CASES, Place};
use acequia_core::disk::Disk;
use std::path::{Path, PathBuf};

/// Events when the kept checkpoints were left, at the end of a batch, and in all.
const EVENTS: (usize, usize) = (320, 640);

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Where the checkpoint of a case is kept, by the format that it was written in.
fn kept(format: u32, case: &str) -> PathBuf {
    let name = case.replace([' ', ','], "_");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/checkpoint-{format}/{name}"))
}

async fn goes_on(place: &Place, case: &crate::power::Case) {
    let whole = Place::new();
    whole.run_over(EVENTS.1, case, Disk::default()).await.unwrap();
    assert_ne!(place.rows(), whole.rows(), "{}: there is something left to do", case.name);
    place.run_over(EVENTS.1, case, Disk::default()).await.unwrap();
    assert_eq!(place.rows(), whole.rows(), "{}", case.name);
}

#[tokio::test]
async fn queries_of_every_format_go_on() {
    for (format, case) in [1, 2].into_iter().flat_map(|format| CASES.iter().map(move |case| (format, case))) {
        let place = Place::new();
        copy(&kept(format, case.name), place.root());
        goes_on(&place, case).await;
    }
}

/// What is to be kept when the format changes: copy these directories under the new format's number.
#[tokio::test]
async fn queries_left_today_go_on_like_kept_ones() {
    for case in CASES {
        let place = Place::new();
        place.run_over(EVENTS.0, case, Disk::default()).await.unwrap();
        goes_on(&place, case).await;
    }
}

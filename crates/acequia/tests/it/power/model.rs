//! A file system as a loss of power sees it: what was synced is there, and of the rest any part.
//!
//! [`Model`] replays the steps of a [`Tape`]. At any moment it holds the durable names, the changes of names that no
//! sync of their directory has made durable yet, and of every file how much of its content is synced. An *image* is
//! one disk that a power cut may leave:
//! - any subset of the pending changes of names, each directory's in their order. A rename within a directory is one
//!   change; one between directories may leave both names, but never none. Changes that were pending when some
//!   directory was last synced have been in every combination before: of them all, none, and some at random;
//! - of a file's unsynced bytes all, half, none, or zeros in their place. A torn write is one of these.

use acequia_core::disk::{DiskObserver, Step, parent};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// A step with its own data.
#[derive(Debug, Clone)]
pub(super) enum Op {
    MakeDirectory(PathBuf),
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    SyncDirectory(PathBuf),
    Remove(PathBuf),
}

impl From<Step<'_>> for Op {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::MakeDirectory(path) => Self::MakeDirectory(path.into()),
            Step::Create(path) => Self::Create(path.into()),
            Step::Write(path, bytes) => Self::Write(path.into(), bytes.into()),
            Step::Sync(path) => Self::Sync(path.into()),
            Step::Link(from, to) => Self::Link(from.into(), to.into()),
            Step::Rename(from, to) => Self::Rename(from.into(), to.into()),
            Step::SyncDirectory(path) => Self::SyncDirectory(path.into()),
            Step::Remove(path) => Self::Remove(path.into()),
        }
    }
}

/// Records the steps of a run. From one of them on, every step fails if that is wanted.
#[derive(Debug, Default)]
pub(super) struct Tape {
    ops: Mutex<Vec<Op>>,
    fails: Option<(usize, io::ErrorKind)>,
}

impl Tape {
    pub(super) fn failing_from(step: usize, error: io::ErrorKind) -> Self {
        Self { ops: Mutex::default(), fails: Some((step, error)) }
    }

    pub(super) fn ops(&self) -> Vec<Op> {
        self.ops.lock().clone()
    }
}

impl DiskObserver for Tape {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let mut ops = self.ops.lock();
        match self.fails {
            Some((from, error)) if ops.len() >= from => Err(error.into()),
            _ => {
                ops.push(step.into());
                Ok(())
            }
        }
    }
}

/// A disk: the content of every file; directories have none.
pub(super) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// How a cut treats bytes that are not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    Kept,
    Half,
    Lost,
    Zeros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Directory,
    File(usize),
}

/// A change of one directory that a power cut may undo.
#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    /// Within a directory.
    Rename(PathBuf, PathBuf, Entry),
    /// What is left of a rename into another directory once the new name is there.
    MovedAway(PathBuf, PathBuf, Entry),
}

impl Change {
    fn directory(&self) -> &Path {
        let (Self::Add(path, _) | Self::Remove(path) | Self::Rename(path, ..) | Self::MovedAway(path, ..)) =
            self;
        parent(path)
    }

    /// The new name of what was moved out of this directory: it is durable as soon as the old one is gone.
    fn moved_from(&self, directory: &Path) -> Option<&PathBuf> {
        match self {
            Self::MovedAway(from, to, _) if parent(from) == directory => Some(to),
            _ => None,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Add(path, entry) => drop(names.insert(path.clone(), *entry)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
            Self::MovedAway(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    written: Vec<u8>,
    synced: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Model {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<Change>,
    /// How many of these are older than the last sync of a directory.
    stale: usize,
    /// How many syncs there were.
    syncs: u64,
}

impl Model {
    /// A disk that holds this and has nothing pending.
    pub(super) fn of(image: &Image) -> Self {
        let mut model = Self::default();
        for (path, content) in image {
            let entry = match content {
                None => Entry::Directory,
                Some(bytes) => {
                    model.files.push(Content { written: bytes.clone(), synced: bytes.len() });
                    Entry::File(model.files.len() - 1)
                }
            };
            model.names.insert(path.clone(), entry);
        }
        model.durable = model.names.clone();
        model
    }

    /// Takes a step, unless the system would have refused it.
    pub(super) fn take(&mut self, op: &Op) {
        match op {
            Op::MakeDirectory(path) if !self.names.contains_key(path) => {
                self.change(Change::Add(path.clone(), Entry::Directory));
            }
            Op::Create(path) if !self.names.contains_key(path) => {
                self.files.push(Content::default());
                self.change(Change::Add(path.clone(), Entry::File(self.files.len() - 1)));
            }
            Op::Write(path, bytes) => {
                if let Some(file) = self.file(path) {
                    file.written.extend_from_slice(bytes);
                }
            }
            Op::Sync(path) => {
                if let Some(file) = self.file(path) {
                    file.synced = file.written.len();
                }
            }
            Op::Link(from, to) if !self.names.contains_key(to) => {
                if let Some(entry) = self.names.get(from).copied() {
                    self.change(Change::Add(to.clone(), entry));
                }
            }
            Op::Rename(from, to) => {
                let Some(entry) = self.names.get(from).copied() else { return };
                if parent(from) == parent(to) {
                    return self.change(Change::Rename(from.clone(), to.clone(), entry));
                }
                self.change(Change::Add(to.clone(), entry));
                self.change(Change::MovedAway(from.clone(), to.clone(), entry));
            }
            Op::Remove(path) if self.names.contains_key(path) => self.change(Change::Remove(path.clone())),
            Op::SyncDirectory(path) => {
                let moved: Vec<&PathBuf> = self.pending.iter().filter_map(|c| c.moved_from(path)).collect();
                let synced = |change: &Change| {
                    change.directory() == path || matches!(change, Change::Add(to, _) if moved.contains(&to))
                };
                let (now, later) = self.pending.iter().cloned().partition(synced);
                let now: Vec<Change> = now;
                now.iter().for_each(|change| change.apply(&mut self.durable));
                self.pending = later;
                self.stale = self.pending.len();
                self.syncs += 1;
            }
            Op::MakeDirectory(_) | Op::Create(_) | Op::Link(..) | Op::Remove(_) => {}
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn file(&mut self, path: &Path) -> Option<&mut Content> {
        match self.names.get(path) {
            Some(Entry::File(file)) => self.files.get_mut(*file),
            _ => None,
        }
    }

    /// Which of the pending changes a cut may keep. Of very many fresh ones a choice that holds none, all, each alone,
    /// each missing, and some at random.
    fn choices(&self, random: &mut SmallRng) -> BTreeSet<u64> {
        const EXHAUSTIVE: usize = 5;
        let count = self.pending.len() - self.stale;
        let all = (1_u64 << count) - 1;
        let fresh: BTreeSet<u64> = if count <= EXHAUSTIVE {
            (0..=all).collect()
        } else {
            let one = (0..count).flat_map(|bit| [1 << bit, all & !(1 << bit)]);
            one.chain([0, all]).chain((0..8).map(|_| random.random_range(0..=all))).collect()
        };
        let all_stale = (1_u64 << self.stale) - 1;
        // The same between two syncs, as most of the images are then.
        let some = SmallRng::seed_from_u64(self.syncs).random_range(0..=all_stale);
        let with = |fresh: u64, stale: u64| fresh << self.stale | stale;
        let mut choices: BTreeSet<u64> = BTreeSet::from([with(0, some), with(all, some)]);
        choices.extend(fresh.into_iter().flat_map(|fresh| [with(fresh, 0), with(fresh, all_stale)]));
        choices
    }

    /// What is left when every change of names is kept but those that add one in a directory called so.
    pub(super) fn image_losing_names_in(&self, directory: &str) -> Image {
        let mut names = self.durable.clone();
        let lost =
            |change: &Change| matches!(change, Change::Add(path, _) if parent(path).ends_with(directory));
        self.pending.iter().filter(|change| !lost(change)).for_each(|change| change.apply(&mut names));
        self.image(&names, Unsynced::Kept)
    }

    /// Disks that a power cut now may leave.
    pub(super) fn images(&self, random: &mut SmallRng) -> BTreeSet<Image> {
        let mut images = BTreeSet::new();
        for choice in self.choices(random) {
            let mut names = self.durable.clone();
            let kept = self.pending.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
            kept.for_each(|(_, change)| change.apply(&mut names));
            for unsynced in [Unsynced::Kept, Unsynced::Half, Unsynced::Lost, Unsynced::Zeros] {
                images.insert(self.image(&names, unsynced));
            }
        }
        images
    }

    fn image(&self, names: &BTreeMap<PathBuf, Entry>, unsynced: Unsynced) -> Image {
        let mut image = Image::new();
        for (path, entry) in names {
            // What stands in a directory that is lost is lost with it.
            if !image.is_empty() && !image.contains_key(parent(path)) {
                continue;
            }
            let content = match entry {
                Entry::Directory => None,
                Entry::File(file) => Some(self.files[*file].after_cut(unsynced)),
            };
            image.insert(path.clone(), content);
        }
        image
    }
}

impl Content {
    fn after_cut(&self, unsynced: Unsynced) -> Vec<u8> {
        let mut bytes = self.written.clone();
        let open = bytes.len() - self.synced;
        match unsynced {
            Unsynced::Kept => {}
            Unsynced::Half => bytes.truncate(self.synced + open / 2),
            Unsynced::Lost => bytes.truncate(self.synced),
            Unsynced::Zeros => bytes[self.synced..].fill(0),
        }
        bytes
    }
}

/// Makes a directory exactly this image.
pub(super) fn materialize(root: &Path, image: &Image) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (path, content) in image.iter().filter(|(path, _)| *path != root) {
        match content {
            None => std::fs::create_dir(path).unwrap(),
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(ops: &[Op]) -> Vec<Vec<String>> {
        let mut model = Model::of(&Image::from([("/r".into(), None)]));
        ops.iter().for_each(|op| model.take(op));
        let show = |(path, content): (&PathBuf, &Option<Vec<u8>>)| match content {
            None => format!("{}/", path.display()),
            Some(bytes) => format!("{}={bytes:?}", path.display()),
        };
        let images = model.images(&mut SmallRng::seed_from_u64(1));
        images.iter().map(|image| image.iter().skip(1).map(show).collect()).collect()
    }

    #[test]
    fn unsynced_names_and_bytes_may_be_lost_in_any_combination() {
        let (a, b) = (|| PathBuf::from("/r/a"), || PathBuf::from("/r/b"));
        assert_eq!(images(&[]), [Vec::<String>::new()]);
        let create = [Op::Create(a()), Op::Write(a(), vec![7, 7])];
        let found = images(&create);
        assert_eq!(found.len(), 5, "no name, or a name with all, half, none or zeros: {found:?}");
        let synced = [create.to_vec(), vec![Op::Sync(a())]].concat();
        assert_eq!(images(&synced), [vec![], vec!["/r/a=[7, 7]".to_string()]]);
        let durable = [synced, vec![Op::SyncDirectory("/r".into())]].concat();
        assert_eq!(images(&durable).len(), 1);
        let renamed = [durable.clone(), vec![Op::Rename(a(), b())]].concat();
        assert_eq!(images(&renamed), [["/r/a=[7, 7]"], ["/r/b=[7, 7]"]]);
        let linked = [durable, vec![Op::Link(a(), b()), Op::Remove(a())]].concat();
        assert_eq!(images(&linked).len(), 4, "both, either, and none when only the removal is kept");
    }

    #[test]
    fn file_that_moves_to_another_directory_is_never_lost() {
        let (d, a, b) = ("/r/d", "/r/a", "/r/d/b");
        let ops = [
            Op::MakeDirectory(d.into()),
            Op::Create(a.into()),
            Op::SyncDirectory("/r".into()),
            Op::Rename(a.into(), b.into()),
        ];
        for image in images(&ops) {
            assert!(
                image.iter().any(|path| path.starts_with("/r/a") || path.starts_with("/r/d/b")),
                "{image:?}"
            );
        }
    }
}

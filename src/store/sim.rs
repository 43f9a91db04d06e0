//! A disk that loses power, for tests. It promises no more than a real one.
//!
//! Unsynced contents survive a power loss sector by sector, in any combination, under the old
//! length or the new. An unsynced name, removal or rename survives or not, each by itself,
//! unless it needs one that did not. A failed sync forgets what it should have written: the
//! pages read back as written and count as clean, so that a second sync succeeds and keeps
//! nothing, as on Linux. A failed sync of a directory keeps nothing either, but forgets nothing:
//! names are in the file system's own journal, and when that cannot be written Linux stops the
//! whole file system.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes at once.
const SECTOR_OCTETS: usize = 512;

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

/// An open file.
#[derive(Debug)]
pub(super) struct SimFile {
    disk: SimDisk,
    inode: usize,
}

#[derive(Debug, Default)]
struct State {
    random: u64,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    pending: Vec<Rename>,
    powered: bool,
    calls: u64,
    syncs: u64,
    crash_at: Option<u64>,
    fail_sync_at: Option<u64>,
    /// Of files below it the next sync fails.
    fail_sync_below: Option<PathBuf>,
    failed_syncs: u64,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    length_dirty: bool,
}

/// A change of names; both sides are there in a rename. That of a directory takes along what is in
/// it.
#[derive(Debug)]
struct Rename {
    gone: Option<PathBuf>,
    there: Option<(PathBuf, Node)>,
}

impl Rename {
    fn dir(&self) -> Option<&Path> {
        self.gone.as_deref().or(self.there.as_ref().map(|(path, _)| path.as_path())).and_then(Path::parent)
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(gone) = &self.gone
            && names.remove(gone).is_none()
        {
            return;
        }
        if let Some((path, node)) = self.there {
            if let (Some(gone), Node::Dir) = (&self.gone, node) {
                move_inside(names, gone, &path);
            }
            names.insert(path, node);
        }
    }
}

/// Names under `from` stand under `to` from now on.
fn move_inside(names: &mut BTreeMap<PathBuf, Node>, from: &Path, to: &Path) {
    let inside: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in inside {
        if let (Some(node), Ok(rest)) = (names.remove(&path), path.strip_prefix(from)) {
            names.insert(to.join(rest), node);
        }
    }
}

impl SimDisk {
    /// An empty disk with a root directory; its losses follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        let state = State {
            random: seed,
            names: root.clone(),
            durable_names: root,
            powered: true,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Lets the power fail in the middle of the `calls`-th change or sync from now (from 1).
    pub fn crash_after(&self, calls: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.calls + calls);
    }

    /// Lets the `syncs`-th sync from now (from 1) fail.
    pub fn fail_sync_after(&self, syncs: u64) {
        let mut state = self.state();
        state.fail_sync_at = Some(state.syncs + syncs);
    }

    /// Lets the next sync of a file below `dir` fail, whatever others come before.
    pub fn fail_next_sync_below(&self, dir: &Path) {
        self.state().fail_sync_below = Some(dir.to_owned());
    }

    /// Lets the disk be full, or have room again: nothing new is written meanwhile, and what is there
    /// can be read, renamed and removed.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// True from the crash to the restart: every call fails.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.state().powered
    }

    /// Changes and syncs so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Syncs that failed so far.
    #[must_use]
    pub fn failed_syncs(&self) -> u64 {
        self.state().failed_syncs
    }

    /// The machine starts again after a power loss: unsynced changes are gone or not, by chance.
    pub fn restart_after_power_loss(&self) {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        let in_order = state.chance(2);
        let mut lost = false;
        for rename in pending {
            lost = if in_order { lost || state.chance(3) } else { state.chance(2) };
            if !lost {
                rename.apply(&mut state.durable_names);
            }
        }
        // A file cannot be reached when its directory is gone.
        let names = &state.durable_names;
        let reachable: BTreeMap<PathBuf, Node> = names
            .iter()
            .filter(|(path, _)| path.ancestors().skip(1).all(|dir| names.get(dir) == Some(&Node::Dir)))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        state.names.clone_from(&reachable);
        state.durable_names = reachable;
        let mut inodes = std::mem::take(&mut state.inodes);
        for inode in &mut inodes {
            inode.lose(&mut state);
        }
        state.inodes = inodes;
        state.start();
    }

    /// The process starts again; the machine ran on and loses nothing it has cached.
    pub fn restart_after_kill(&self) {
        self.state().start();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            if state.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.room()?;
            state.rename(None, Some((path.to_owned(), Node::Dir)));
            Ok(())
        })
    }

    pub(super) fn create_dirs(&self, path: &Path) -> io::Result<()> {
        let above: Vec<&Path> = path.ancestors().collect();
        for dir in above.into_iter().rev() {
            match self.create_dir(dir) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inside: Vec<PathBuf> = {
            let state = self.reading()?;
            if !state.names.contains_key(dir) {
                return Err(ErrorKind::NotFound.into());
            }
            state.names.keys().filter(|path| path.starts_with(dir)).cloned().collect()
        };
        // What is deepest first.
        inside.sort_unstable_by_key(|path| std::cmp::Reverse(path.components().count()));
        inside.iter().try_for_each(|path| self.remove(path))
    }

    /// Contents and names of everything.
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        self.sync(None, |state, failing| {
            for inode in &mut state.inodes {
                inode.sync(failing);
            }
            if !failing {
                for rename in std::mem::take(&mut state.pending) {
                    rename.apply(&mut state.durable_names);
                }
            }
        })
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.reading()?;
        if !state.names.contains_key(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    pub(super) fn open(&self, path: &Path, create: bool) -> io::Result<SimFile> {
        let found = self.reading()?.names.get(path).copied();
        let inode = match found {
            Some(Node::File(inode)) => inode,
            Some(Node::Dir) => return Err(ErrorKind::IsADirectory.into()),
            None if !create => return Err(ErrorKind::NotFound.into()),
            None => self.change(|state| {
                let parent = path.parent().and_then(|dir| state.names.get(dir));
                if parent != Some(&Node::Dir) {
                    return Err(ErrorKind::NotFound.into());
                }
                state.room()?;
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                state.rename(None, Some((path.to_owned(), Node::File(inode))));
                Ok(inode)
            })?,
        };
        Ok(SimFile { disk: self.clone(), inode })
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
            state.rename(Some(from.to_owned()), Some((to.to_owned(), node)));
            Ok(())
        })
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.names.get(path).ok_or(ErrorKind::NotFound)?;
            state.rename(Some(path.to_owned()), None);
            Ok(())
        })
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync(None, |state, failing| {
            let pending = std::mem::take(&mut state.pending);
            for rename in pending {
                if failing || rename.dir() != Some(dir) {
                    state.pending.push(rename);
                } else {
                    rename.apply(&mut state.durable_names);
                }
            }
        })
    }

    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.powered { Ok(state) } else { Err(power_lost()) }
    }

    /// One change: counted, and the one in which the power may fail, before or after it took
    /// effect in memory.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.reading()?;
        let crashing = state.count_call();
        if crashing && state.chance(2) {
            return Err(power_lost());
        }
        let changed = change(&mut state);
        if crashing { Err(power_lost()) } else { changed }
    }

    /// One sync: done, failed, or cut off by the power before or after it took effect.
    fn sync(&self, file: Option<usize>, sync: impl FnOnce(&mut State, bool)) -> io::Result<()> {
        let mut state = self.reading()?;
        let crashing = state.count_call();
        state.syncs += 1;
        if crashing {
            if state.chance(4) {
                sync(&mut state, false);
            }
            return Err(power_lost());
        }
        let failing = state.fail_sync_at == Some(state.syncs) || state.is_to_fail(file);
        state.failed_syncs += u64::from(failing);
        sync(&mut state, failing);
        if failing { Err(Error::other("simulated input/output error")) } else { Ok(()) }
    }
}

impl SimFile {
    pub(super) fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.reading()?;
        state.room()?;
        let crashing = state.count_call();
        let whole = octets.len();
        let cut = if crashing { state.below(whole + 1) } else { whole };
        let inode = state.inode(self.inode)?;
        inode.write(octets.get(..cut).unwrap_or_default(), usize::try_from(offset).map_err(Error::other)?);
        if crashing { Err(power_lost()) } else { Ok(()) }
    }

    pub(super) fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.reading()?;
        let start = usize::try_from(offset).map_err(Error::other)?;
        let cached = &state.inode(self.inode)?.cached;
        let end = start.checked_add(octets.len()).ok_or(ErrorKind::UnexpectedEof)?;
        octets.copy_from_slice(cached.get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(super) fn is_in_place(&self, path: &Path, len: u64) -> io::Result<bool> {
        let is_named = self.disk.reading()?.names.get(path) == Some(&Node::File(self.inode));
        Ok(is_named && self.len()? == len)
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.reading()?;
        Ok(super::octets::offset(state.inode(self.inode)?.cached.len()))
    }

    pub(super) fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.change(|state| {
            let len = usize::try_from(len).map_err(Error::other)?;
            let inode = state.inode(self.inode)?;
            // The length it seems to have, too: Linux then writes the inode anew.
            inode.length_dirty = true;
            inode.cached.resize(len, 0);
            inode.dirty.retain(|sector| sector * SECTOR_OCTETS < len);
            Ok(())
        })
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(Some(self.inode), |state, failing| {
            if let Ok(inode) = state.inode(self.inode) {
                inode.sync(failing);
            }
        })
    }
}

impl Inode {
    fn sync(&mut self, failing: bool) {
        let dirty = std::mem::take(&mut self.dirty);
        let resized = std::mem::take(&mut self.length_dirty);
        if failing {
            return;
        }
        if resized {
            self.durable.resize(self.cached.len(), 0);
        }
        for sector in dirty {
            self.keep(sector);
        }
    }

    fn write(&mut self, octets: &[u8], start: usize) {
        if octets.is_empty() {
            return;
        }
        let end = start + octets.len();
        self.cached.resize(end.max(self.cached.len()), 0);
        // Writing a page out allocates it, so the length follows even after a sync that failed.
        self.length_dirty |= end > self.durable.len();
        if let Some(place) = self.cached.get_mut(start..end) {
            place.copy_from_slice(octets);
        }
        self.dirty.extend(start / SECTOR_OCTETS..=(end - 1) / SECTOR_OCTETS);
    }

    /// Writes one cached sector out, as far as the durable length goes.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR_OCTETS;
        let end = (start + SECTOR_OCTETS).min(self.cached.len()).min(self.durable.len());
        if let (Some(from), Some(to)) = (self.cached.get(start..end), self.durable.get_mut(start..end)) {
            to.copy_from_slice(from);
        }
    }

    fn lose(&mut self, state: &mut State) {
        let (short, long) = (self.durable.len(), self.cached.len());
        if self.length_dirty {
            let len = match state.below(4) {
                0 => short,
                1 if long > short => short + state.below(long - short),
                _ => long,
            };
            self.durable.resize(len, 0);
        }
        let keep_one_in = 1 + state.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            if state.chance(keep_one_in) {
                self.keep(sector);
            }
        }
        self.length_dirty = false;
        self.cached.clone_from(&self.durable);
    }
}

impl State {
    fn start(&mut self) {
        self.powered = true;
        self.crash_at = None;
        self.fail_sync_at = None;
        self.fail_sync_below = None;
    }

    /// True once, for the sync of a file that was to fail.
    fn is_to_fail(&mut self, file: Option<usize>) -> bool {
        let (Some(below), Some(inode)) = (&self.fail_sync_below, file) else { return false };
        let is_it = |(path, node): (&PathBuf, &Node)| *node == Node::File(inode) && path.starts_with(below);
        let is_below = self.names.iter().any(is_it);
        if is_below {
            self.fail_sync_below = None;
        }
        is_below
    }

    /// Counts a call; true, and the power is off, when it is the one to fail in.
    fn count_call(&mut self) -> bool {
        self.calls += 1;
        let crashing = self.crash_at == Some(self.calls);
        if crashing {
            self.powered = false;
        }
        crashing
    }

    fn room(&self) -> io::Result<()> {
        if self.full { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn rename(&mut self, gone: Option<PathBuf>, there: Option<(PathBuf, Node)>) {
        if let Some(gone) = &gone {
            self.names.remove(gone);
        }
        if let Some((path, node)) = &there {
            if let (Some(gone), Node::Dir) = (&gone, node) {
                move_inside(&mut self.names, gone, path);
            }
            self.names.insert(path.clone(), *node);
        }
        self.pending.push(Rename { gone, there });
    }

    fn inode(&mut self, inode: usize) -> io::Result<&mut Inode> {
        self.inodes.get_mut(inode).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// SplitMix64, below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(mixed % bound).unwrap_or(0)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

fn power_lost() -> Error {
    Error::other("simulated power loss")
}

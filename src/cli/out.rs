//! Files that results are written to. They are tried before anything is done: what was done and can be
//! told nowhere is lost to whoever asked for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Failure;

/// As much as the largest pair of certificates in PEM takes, several times.
const TRIED_OCTETS: usize = 32 << 10;

/// A certificate tells who somebody is and where they live: it is for whoever asked for it.
const OWNER_ONLY: u32 = 0o600;

/// Makes the directory, and a file in it that is removed again.
///
/// # Errors
/// Exit code 2: nothing was done, and another directory does.
pub(super) fn try_directory(directory: &Path) -> Result<(), Failure> {
    let probe = directory.join(format!(".sekisho-{}.tmp", std::process::id()));
    let tried = fs::create_dir_all(directory).and_then(|()| {
        let written = File::create(&probe).and_then(|mut file| file.write_all(&[0; TRIED_OCTETS]));
        let removed = fs::remove_file(&probe);
        written.and(removed)
    });
    tried.map_err(|error| untaken(directory, &error, "name a directory that can be written to with --out"))
}

/// Opens a file for writing without changing it, and removes it again if it was not there. `advice` is what
/// to do where that fails.
///
/// # Errors
/// Exit code 2, as [`try_directory`].
pub(super) fn try_file(path: &Path, advice: &str) -> Result<(), Failure> {
    let is_new = !path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let tried = opened.and_then(|_| if is_new { fs::remove_file(path) } else { Ok(()) });
    tried.map_err(|error| untaken(path, &error, advice))
}

/// Tries the place of the list of what is rejected of an input: beside it.
///
/// # Errors
/// As [`try_file`].
pub(super) fn try_rejected(path: &Path) -> Result<(), Failure> {
    try_file(path, "lines that are rejected are listed there: put the input where that can be written")
}

fn untaken(path: &Path, error: &io::Error, advice: &str) -> Failure {
    Failure::wrong_use(format!("{} cannot be written: {error}; nothing was done; {advice}", path.display()))
}

/// Writes a file that its owner alone can read.
pub(super) fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(octets)
}

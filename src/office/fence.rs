//! The fence: a data directory is bound to the machine and the place it was made in.
//!
//! Two copies of one directory would give the same serial numbers to different people, and one would say
//! `good` of what the other revoked. So a copy is told from the directory that it was made of:
//! `store/fence` names the machine, the file system and its own inode number, which no copy of it has.
//! Anywhere else, and from any backup, the service starts fenced: OCSP says `revoked` of what this copy knows
//! to be revoked and `tryLater` of all else, and nothing is issued, changed or published, until somebody runs
//! `sekisho restore --accept`.
//!
//! | field | what | where it cannot be told |
//! |---|---|---|
//! | machine | SHA-256 of `/etc/machine-id`, which is not to be known itself | left out |
//! | file_system | UUID, as `/dev/disk/by-uuid` has it | left out |
//! | inode | number of the file itself | – |
//!
//! A clone of the whole disk in a machine with the same machine-id has all of it: that is for whoever clones
//! machines to know.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::OfficeError;
use super::authorities::sha256;
use super::data::{DataDir, DataError, sync_directory};

/// Name of the file, in `store/`.
const NAME: &str = "fence";

/// What a directory is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Binding {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_system: Option<String>,
    inode: u64,
}

/// Why a directory is taken for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It names no place: made by hand, or from a backup that left that out.
    Unbound,
    /// What it names cannot be read.
    Unreadable,
    /// It was made on another machine.
    Machine,
    /// It was made on another file system.
    FileSystem,
    /// Its files are copies.
    Copied,
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbound => "store/fence is missing",
            Self::Unreadable => "store/fence cannot be read",
            Self::Machine => "it was made on another machine",
            Self::FileSystem => "it was made on another file system",
            Self::Copied => "its files are copies",
        })
    }
}

/// Binds a directory to this machine and its place, whatever it was bound to before.
///
/// # Errors
/// When the system refuses.
pub fn bind(data: &DataDir) -> Result<(), OfficeError> {
    let (path, new) = (data.store().join(NAME), data.store().join("fence.new"));
    let written = (|| {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let binding = Binding::of(&new, &file)?;
        file.write_all(&serde_json::to_vec_pretty(&binding).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    })();
    written.map_err(|error| DataError::Io { path, error })?;
    Ok(sync_directory(&data.store())?)
}

/// Why a directory is a copy; none when it is the one that was made here.
///
/// # Errors
/// When the system does not let it be told.
pub fn fenced(data: &DataDir) -> Result<Option<Fenced>, OfficeError> {
    let path = data.store().join(NAME);
    let failed = |error| DataError::Io { path: path.clone(), error };
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Fenced::Unbound)),
        file => file.map_err(failed)?,
    };
    let here = Binding::of(&path, &file).map_err(failed)?;
    let octets = fs::read(&path).map_err(failed)?;
    let Ok(bound) = serde_json::from_slice::<Binding>(&octets) else { return Ok(Some(Fenced::Unreadable)) };
    Ok(bound.differs_from(&here))
}

impl Binding {
    /// Of a file that is open at a path.
    fn of(path: &Path, file: &File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        let machine =
            machine_id().map(|id| HEXLOWER.encode(&sha256(format!("sekisho fence {id}").as_bytes())));
        Ok(Self { machine, file_system: file_system(path)?, inode })
    }

    /// What this one names and `here` is not. What this one could not name is not asked for, nor the file system
    /// where it cannot be told here.
    fn differs_from(&self, here: &Self) -> Option<Fenced> {
        let differs = |bound: &Option<String>, here: &Option<String>| bound.is_some() && bound != here;
        if differs(&self.machine, &here.machine) {
            Some(Fenced::Machine)
        // A service with a /dev of its own cannot tell the file system; its inode number is asked all the same.
        } else if here.file_system.is_some() && differs(&self.file_system, &here.file_system) {
            Some(Fenced::FileSystem)
        } else if self.inode != here.inode {
            Some(Fenced::Copied)
        } else {
            None
        }
    }
}

/// machine-id(5); none in most containers.
fn machine_id() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    // A machine that has not come up for the first time says so in words.
    (id.len() == 32 && id.bytes().all(|octet| octet.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// UUID of the file system that a path lies on; none where it is on no device, or that has none.
fn file_system(path: &Path) -> io::Result<Option<String>> {
    let device = fs::metadata(path)?.dev();
    let Ok(names) = fs::read_dir("/dev/disk/by-uuid") else { return Ok(None) };
    let is_it = |entry: &fs::DirEntry| {
        let found = fs::metadata(entry.path());
        found.is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == device)
    };
    let found = names.filter_map(Result::ok).find(is_it);
    Ok(found.map(|entry| entry.file_name().to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, DataDir) {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        data.create().unwrap();
        bind(&data).unwrap();
        (home, data)
    }

    #[test]
    fn a_directory_is_known_where_it_was_made() {
        let (home, data) = made();
        assert_eq!(fenced(&data).unwrap(), None);
        // It may be renamed, and bound again.
        let moved = DataDir::new(&home.path().join("moved"));
        fs::rename(data.path(), moved.path()).unwrap();
        assert_eq!(fenced(&moved).unwrap(), None);
        bind(&moved).unwrap();
        assert_eq!(fenced(&moved).unwrap(), None);
    }

    #[test]
    fn a_copy_is_known_whatever_was_copied() {
        let (_home, data) = made();
        let path = data.store().join(NAME);
        let octets = fs::read(&path).unwrap();
        // Held open: its number is not given to the copy.
        let original = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(fenced(&data).unwrap(), Some(Fenced::Unbound));
        fs::write(&path, &octets).unwrap();
        assert_eq!(fenced(&data).unwrap(), Some(Fenced::Copied));
        drop(original);
        for wrong in [&b""[..], b"{", b"[]", b"{\"machine\":\"ab\"}", b"\xff"] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(fenced(&data).unwrap(), Some(Fenced::Unreadable));
        }
    }

    #[test]
    fn what_could_not_be_named_is_not_asked_for() {
        let text = |text: &str| Some(text.to_owned());
        let bound = |machine, file_system, inode| Binding { machine, file_system, inode };
        let full = bound(text("m"), text("f"), 5);
        assert_eq!(full.differs_from(&full), None);
        assert_eq!(bound(None, None, 5).differs_from(&full), None);
        assert_eq!(full.differs_from(&bound(text("n"), text("f"), 5)), Some(Fenced::Machine));
        assert_eq!(full.differs_from(&bound(None, text("f"), 5)), Some(Fenced::Machine));
        assert_eq!(full.differs_from(&bound(text("m"), text("g"), 5)), Some(Fenced::FileSystem));
        // Within `PrivateDevices=` the file system cannot be told.
        assert_eq!(full.differs_from(&bound(text("m"), None, 5)), None);
        assert_eq!(full.differs_from(&bound(text("m"), None, 6)), Some(Fenced::Copied));
        assert_eq!(bound(None, None, 6).differs_from(&full), Some(Fenced::Copied));
    }
}

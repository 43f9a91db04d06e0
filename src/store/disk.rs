//! The few things asked of a disk, by the store and by who publishes CRLs, so that a simulated one
//! can stand in.
//!
//! Contents are durable after [`DiskFile::sync_data`], names after [`Disk::sync_dir`] of
//! their directory, both after [`Disk::sync_file_system`]; nothing is assumed of anything unsynced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::DiskFault;
use super::sim::{SimDisk, SimFile};

/// Which disk.
#[derive(Debug, Clone)]
pub enum Disk {
    /// The machine's file system.
    File,
    /// One that loses power on demand; for tests.
    Simulated(SimDisk),
}

impl Disk {
    /// Makes a directory, and its name durable, unless it is there.
    pub(super) fn create_dir(&self, path: &Path) -> Result<(), DiskFault> {
        let made = match self {
            Self::File => fs::create_dir(path),
            Self::Simulated(disk) => disk.create_dir(path),
        };
        match made {
            Ok(()) => {}
            // Its name may not be durable yet: a crash may have come before the sync below.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskFault::at("create", path)(error)),
        }
        self.sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// Makes a directory and those above it, none of their names durable.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn create_dirs(&self, path: &Path) -> Result<(), DiskFault> {
        let made = match self {
            Self::File => fs::create_dir_all(path),
            Self::Simulated(disk) => disk.create_dirs(path),
        };
        made.map_err(DiskFault::at("create", path))
    }

    /// Names of the files in a directory, sorted; none also when it is absent: for directories that
    /// are made with the first file in them. Who must tell the two apart asks
    /// [`Self::list_if_there`].
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn list(&self, dir: &Path) -> Result<Vec<String>, DiskFault> {
        Ok(self.list_if_there(dir)?.unwrap_or_default())
    }

    /// Names of the files in a directory, sorted; nothing when it is absent.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn list_if_there(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskFault> {
        let names: io::Result<Vec<String>> = match self {
            Self::File => fs::read_dir(dir).and_then(|entries| {
                entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
            }),
            Self::Simulated(disk) => disk.list(dir),
        };
        let mut names = match names {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            names => names.map_err(DiskFault::at("list", dir))?,
        };
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Opens a file to read and write; makes it when asked to.
    pub(super) fn open(&self, path: &Path, create: bool) -> Result<DiskFile, DiskFault> {
        let kind = match self {
            Self::File => OpenOptions::new()
                .read(true)
                .write(true)
                .create(create)
                .truncate(false)
                .open(path)
                .map(Kind::File),
            Self::Simulated(disk) => disk.open(path, create).map(Kind::Simulated),
        };
        Ok(DiskFile { path: path.to_owned(), kind: kind.map_err(DiskFault::at("open", path))? })
    }

    /// Opens a file to read only.
    pub(super) fn open_read(&self, path: &Path) -> Result<DiskFile, DiskFault> {
        let kind = match self {
            Self::File => File::open(path).map(Kind::File),
            Self::Simulated(disk) => disk.open(path, false).map(Kind::Simulated),
        };
        Ok(DiskFile { path: path.to_owned(), kind: kind.map_err(DiskFault::at("open", path))? })
    }

    /// The octets of a whole file; nothing when it is absent.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskFault> {
        match self.open_read(path) {
            Ok(file) => file.read_all().map(Some),
            Err(fault) if fault.error.kind() == ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Octets of a file; nothing when it is absent.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn len_of(&self, path: &Path) -> Result<Option<u64>, DiskFault> {
        match self.open_read(path) {
            Ok(file) => file.len().map(Some),
            Err(fault) if fault.error.kind() == ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A new file to be written from its beginning; what was there is gone. Not durable before
    /// [`Self::sync_file_system`].
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn create(&self, path: &Path) -> Result<NewFile, DiskFault> {
        let file = self.open(path, true)?;
        file.truncate(0)?;
        Ok(NewFile { file, at: 0 })
    }

    /// A file to be read from its beginning.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn reader(&self, path: &Path) -> Result<impl io::Read + use<>, DiskFault> {
        let file = self.open_read(path)?;
        let left = file.len()?;
        Ok(FileReader { file, at: 0, left })
    }

    /// Removes a directory with all that is in it, if it is there.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn remove_dir(&self, path: &Path) -> Result<(), DiskFault> {
        let removed = match self {
            Self::File => fs::remove_dir_all(path),
            Self::Simulated(disk) => disk.remove_dir(path),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DiskFault::at("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Makes everything on the file system of `path` durable: for thousands of small files that
    /// takes less than a sync of each.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn sync_file_system(&self, path: &Path) -> Result<(), DiskFault> {
        let synced = match self {
            Self::File => {
                File::open(path).and_then(|file| rustix::fs::syncfs(&file).map_err(io::Error::from))
            }
            Self::Simulated(disk) => disk.sync_file_system(),
        };
        synced.map_err(DiskFault::at("sync", path))
    }

    /// Gives a file or directory another name, also over a file that has it.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskFault> {
        let renamed = match self {
            Self::File => fs::rename(from, to),
            Self::Simulated(disk) => disk.rename(from, to),
        };
        renamed.map_err(DiskFault::at("rename", from))
    }

    /// A name like this that no file has: this one, or with a number behind it.
    pub(super) fn free_name(&self, path: &Path) -> Result<PathBuf, DiskFault> {
        let mut free = path.to_owned();
        for number in 1.. {
            if self.len_of(&free)?.is_none() {
                break;
            }
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            free = PathBuf::from(name);
        }
        Ok(free)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, path: &Path) -> Result<(), DiskFault> {
        let removed = match self {
            Self::File => fs::remove_file(path),
            Self::Simulated(disk) => disk.remove(path),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DiskFault::at("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn sync_dir(&self, dir: &Path) -> Result<(), DiskFault> {
        let synced = match self {
            Self::File => File::open(dir).and_then(|dir| dir.sync_all()),
            Self::Simulated(disk) => disk.sync_dir(dir),
        };
        synced.map_err(DiskFault::at("sync", dir))
    }

    /// Puts a whole file in place at once: readers and crashes see the old one or the new one.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn replace(&self, path: &Path, octets: &[u8]) -> Result<(), DiskFault> {
        let temporary = path.with_extension(TEMPORARY);
        let file = self.open(&temporary, true)?;
        file.truncate(0)?;
        file.write_at(octets, 0)?;
        file.sync_data()?;
        self.rename(&temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// Extension of a file that is not in place yet; removed at the next start.
pub(super) const TEMPORARY: &str = "tmp";

/// An open file.
#[derive(Debug)]
pub(super) struct DiskFile {
    path: PathBuf,
    kind: Kind,
}

/// A file being written.
#[derive(Debug)]
pub struct NewFile {
    file: DiskFile,
    at: u64,
}

impl Write for NewFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write_at(octets, self.at).map_err(|fault| io::Error::new(fault.error.kind(), fault))?;
        self.at = self.at.saturating_add(u64::try_from(octets.len()).map_err(io::Error::other)?);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file being read.
struct FileReader {
    file: DiskFile,
    at: u64,
    left: u64,
}

impl io::Read for FileReader {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(octets.len());
        let part = octets.get_mut(..len).unwrap_or_default();
        self.file.read_at(part, self.at).map_err(|fault| io::Error::new(fault.error.kind(), fault))?;
        let len_64 = u64::try_from(len).map_err(io::Error::other)?;
        (self.at, self.left) = (self.at + len_64, self.left - len_64);
        Ok(len)
    }
}

#[derive(Debug)]
enum Kind {
    File(File),
    Simulated(SimFile),
}

impl DiskFile {
    pub(super) fn write_at(&self, octets: &[u8], offset: u64) -> Result<(), DiskFault> {
        let written = match &self.kind {
            Kind::File(file) => file.write_all_at(octets, offset),
            Kind::Simulated(file) => file.write_at(octets, offset),
        };
        written.map_err(DiskFault::at("write", &self.path))
    }

    /// Fills `octets`, or says that the file ends before.
    pub(super) fn read_at(&self, octets: &mut [u8], offset: u64) -> Result<(), DiskFault> {
        let read = match &self.kind {
            Kind::File(file) => file.read_exact_at(octets, offset),
            Kind::Simulated(file) => file.read_at(octets, offset),
        };
        read.map_err(DiskFault::at("read", &self.path))
    }

    pub(super) fn len(&self) -> Result<u64, DiskFault> {
        let len = match &self.kind {
            Kind::File(file) => file.metadata().map(|metadata| metadata.len()),
            Kind::Simulated(file) => file.len(),
        };
        len.map_err(DiskFault::at("read the length of", &self.path))
    }

    pub(super) fn read_all(&self) -> Result<Vec<u8>, DiskFault> {
        let len = usize::try_from(self.len()?).unwrap_or(usize::MAX);
        let mut octets = vec![0; len];
        self.read_at(&mut octets, 0)?;
        Ok(octets)
    }

    pub(super) fn truncate(&self, len: u64) -> Result<(), DiskFault> {
        let truncated = match &self.kind {
            Kind::File(file) => file.set_len(len),
            Kind::Simulated(file) => file.truncate(len),
        };
        truncated.map_err(DiskFault::at("cut", &self.path))
    }

    /// Fails unless the file that is open is the one of its name, and has this length: what is written into
    /// one that was removed, replaced, renamed or cut is in no file that a start finds.
    pub(super) fn check_place(&self, len: u64) -> Result<(), DiskFault> {
        let is_in_place = match &self.kind {
            Kind::File(file) => file.metadata().and_then(|open| {
                let named = match fs::symlink_metadata(&self.path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                    named => named?,
                };
                let same = (open.dev(), open.ino()) == (named.dev(), named.ino());
                Ok(same && open.nlink() > 0 && open.len() == len)
            }),
            Kind::Simulated(file) => file.is_in_place(&self.path, len),
        };
        match is_in_place {
            Ok(true) => Ok(()),
            Ok(false) => Err(DiskFault::at("go on with", &self.path)(io::Error::other(
                "it was removed, replaced, renamed or cut while the service had it open; this process still has what it \
                 wrote: copy it from /proc/PID/fd before you stop it",
            ))),
            Err(error) => Err(DiskFault::at("look at", &self.path)(error)),
        }
    }

    /// Makes the contents and the length durable. After an error nothing may be concluded
    /// about them, whatever a later call says: the kernel forgets pages it could not write.
    pub(super) fn sync_data(&self) -> Result<(), DiskFault> {
        let synced = match &self.kind {
            Kind::File(file) => file.sync_data(),
            Kind::Simulated(file) => file.sync_data(),
        };
        synced.map_err(DiskFault::at("sync", &self.path))
    }
}

//! The documents of a CRL set that is kept: thousands, asked for seldom, so each is a row of which
//! the answer is made when somebody asks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Coding, Content, Document, Freshness};
use crate::der::UnixTime;

/// A set: its documents by their paths below `/crl/sets/{set}/`.
///
/// A row takes 150 octets: of a country's 3,900 CRLs, as DER and as PEM, 1.2 MB a set.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    last_modified: UnixTime,
    max_age: Duration,
    rows: HashMap<Box<str>, Shelved>,
}

/// One document of a set: a file below its directory, under the same path.
#[derive(Debug, Clone, Copy)]
pub struct Shelved {
    /// Media type.
    pub content_type: &'static str,
    /// Names its octets.
    pub tag: [u8; 32],
    /// Octets of the file.
    pub len: u64,
    /// Octets of the same compressed, in the file with `.gz` behind its name.
    pub gzip: Option<u64>,
    /// Octets of the same compressed, in the file with `.zst` behind its name.
    pub zstd: Option<u64>,
    /// nextUpdate, where there is one.
    pub expires: Option<UnixTime>,
}

impl Shelf {
    /// For the files below `directory`, last modified at thisUpdate, which never change: a cache
    /// may keep them for `max_age`.
    #[must_use]
    pub fn new(directory: PathBuf, last_modified: UnixTime, max_age: Duration) -> Self {
        Self { directory, last_modified, max_age, rows: HashMap::new() }
    }

    /// Puts a document there.
    pub fn insert(&mut self, path: &str, row: Shelved) {
        self.rows.insert(path.into(), row);
    }

    pub(super) fn find(&self, path: &str) -> Option<Document> {
        let row = self.rows.get(path)?;
        let file = |ending: &str, len| Content::File(self.directory.join(format!("{path}{ending}")), len);
        let freshness = Freshness { expires: row.expires, max_age: self.max_age, immutable: true };
        let mut document =
            Document::new(file("", row.len), row.content_type, row.tag, self.last_modified, freshness);
        for (coding, ending, len) in [(Coding::Gzip, ".gz", row.gzip), (Coding::Zstd, ".zst", row.zstd)] {
            if let Some(len) = len {
                document = document.encoded(coding, file(ending, len));
            }
        }
        Some(document)
    }
}

//! The forms a CRL is kept in: DER, PEM, and DER compressed for who accepts that.
//!
//! | file | |
//! |---|---|
//! | `X.crl` | DER |
//! | `X.pem` | the same as PEM |
//! | `X.crl.gz`, `X.crl.zst` | the same compressed; only where that is smaller |
//!
//! Each is read again from the disk after it was written, and must give the DER back.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use ring::digest::{Context, SHA256};

use super::OfficeError;
use super::build::in_parallel;
use crate::crl::Stored;
use crate::store::Disk;

/// A CRL below this fits a packet as it is: an empty one has 700 octets.
const COMPRESSED_OCTETS_MIN: usize = 1400;

/// zstd's usual level: a CRL of 50 MB takes a fifth of a second.
const ZSTD_LEVEL: i32 = 3;

/// Octets of a line of PEM, before and after base64 (RFC 7468 §2).
const PEM_LINE: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Der,
    Pem,
    Gzip,
    Zstd,
}

/// Writes a CRL in all its forms; not durable before the file system is synced.
pub(super) fn write(disk: &Disk, path: &Path, der: &[u8]) -> Result<Stored, OfficeError> {
    if let Some(directory) = path.parent() {
        disk.create_dirs(directory)?;
    }
    let small = [Form::Der, Form::Pem];
    let all = [Form::Der, Form::Pem, Form::Gzip, Form::Zstd];
    let forms: &[Form] = if der.len() < COMPRESSED_OCTETS_MIN { &small } else { &all };
    // One that takes its time is written on all cores; thousands of small ones are anyway.
    let lens = if der.len() < PARALLEL_OCTETS_MIN {
        forms.iter().map(|form| form.write(disk, path, der)).collect::<Result<Vec<_>, _>>()?
    } else {
        in_parallel(forms, |form| form.write(disk, path, der))?
    };
    let of = |form| forms.iter().zip(&lens).find(|(one, _)| **one == form).map(|(_, len)| *len);
    let smaller = |form: Form| {
        let len = of(form)?;
        (len < u64::try_from(der.len()).unwrap_or(u64::MAX)).then_some(len)
    };
    Ok(Stored { pem: of(Form::Pem).unwrap_or(0), gzip: smaller(Form::Gzip), zstd: smaller(Form::Zstd) })
}

/// SHA-256 of a file, hex.
pub(super) fn sha256_of(disk: &Disk, path: &Path) -> Result<String, OfficeError> {
    let hash = Form::Der.hash(disk.reader(path)?).map_err(|error| damaged(path, &error))?;
    Ok(HEXLOWER.encode(hash.as_ref()))
}

/// From here on the forms of one CRL are written on all cores.
const PARALLEL_OCTETS_MIN: usize = 1 << 20;

impl Form {
    fn path(self, der: &Path) -> PathBuf {
        let ended = |ending: &str| {
            let mut name = der.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        match self {
            Self::Der => der.to_owned(),
            Self::Pem => der.with_extension("pem"),
            Self::Gzip => ended(".gz"),
            Self::Zstd => ended(".zst"),
        }
    }

    /// Writes the form and reads it again; its octets.
    fn write(self, disk: &Disk, der_path: &Path, der: &[u8]) -> Result<u64, OfficeError> {
        let path = self.path(der_path);
        let mut file = BufWriter::with_capacity(1 << 16, disk.create(&path)?);
        self.encode(der, &mut file).and_then(|()| file.flush()).map_err(|error| damaged(&path, &error))?;
        drop(file);
        let read = self.hash(disk.reader(&path)?).map_err(|error| damaged(&path, &error))?;
        if read.as_ref() != ring::digest::digest(&SHA256, der).as_ref() {
            return Err(OfficeError::Gate(format!("{}: what was written reads otherwise", path.display())));
        }
        Ok(disk.len_of(&path)?.unwrap_or(0))
    }

    fn encode(self, der: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Der => out.write_all(der),
            Self::Pem => write_pem(der, out),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::default());
                encoder.write_all(der)?;
                encoder.finish().map(drop)
            }
            Self::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.set_pledged_src_size(u64::try_from(der.len()).ok())?;
                encoder.write_all(der)?;
                encoder.finish().map(drop)
            }
        }
    }

    /// SHA-256 of the DER in it.
    fn hash(self, file: impl Read) -> io::Result<ring::digest::Digest> {
        let mut context = Context::new(&SHA256);
        match self {
            Self::Der => hash_all(file, &mut context)?,
            Self::Pem => hash_pem(BufReader::new(file), &mut context)?,
            Self::Gzip => hash_all(GzDecoder::new(file), &mut context)?,
            Self::Zstd => hash_all(zstd::stream::read::Decoder::new(file)?, &mut context)?,
        }
        Ok(context.finish())
    }
}

fn hash_all(mut file: impl Read, context: &mut Context) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(()),
            len => context.update(chunk.get(..len).unwrap_or_default()),
        }
    }
}

const PEM_BEGIN: &str = "-----BEGIN X509 CRL-----";
const PEM_END: &str = "-----END X509 CRL-----";

fn write_pem(der: &[u8], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{PEM_BEGIN}")?;
    let mut line = String::with_capacity(PEM_LINE / 3 * 4 + 1);
    for part in der.chunks(PEM_LINE) {
        line.clear();
        BASE64.encode_append(part, &mut line);
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    writeln!(out, "{PEM_END}")
}

fn hash_pem(file: impl BufRead, context: &mut Context) -> io::Result<()> {
    let mut lines = file.lines();
    let framed = |line: Option<io::Result<String>>, wanted: &str| match line.transpose()? {
        Some(line) if line == wanted => Ok(()),
        _ => Err(io::Error::other("not the PEM that was written")),
    };
    framed(lines.next(), PEM_BEGIN)?;
    loop {
        match lines.next().transpose()? {
            Some(line) if line == PEM_END => return Ok(()),
            Some(line) => context.update(&BASE64.decode(line.as_bytes()).map_err(io::Error::other)?),
            None => return Err(io::Error::other("the PEM ends early")),
        }
    }
}

/// The disk's own words, with the file.
fn damaged(path: &Path, error: &io::Error) -> OfficeError {
    OfficeError::Written { path: path.to_owned(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_the_der_back_and_none_that_is_no_smaller_is_announced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("sign/1/full.crl");
        for len in [0, 1, 47, 48, 49, 700, 1399, 1400, 5000, 3 << 20] {
            let der: Vec<u8> = (0..len).map(|at: u32| at.to_be_bytes()[2]).collect();
            let stored = write(&Disk::File, &path, &der).unwrap();
            let pem = std::fs::read(path.with_extension("pem")).unwrap();
            assert_eq!(pem::parse(&pem).unwrap().contents(), der);
            assert_eq!(u64::try_from(pem.len()).unwrap(), stored.pem);
            assert_eq!((stored.gzip.is_some(), stored.zstd.is_some()), (len >= 1400, len >= 1400), "{len}");
            for (form, len) in [(Form::Gzip, stored.gzip), (Form::Zstd, stored.zstd)] {
                let Some(len) = len else { continue };
                assert_eq!(std::fs::metadata(form.path(&path)).unwrap().len(), len);
            }
        }
    }

    #[test]
    fn what_reads_otherwise_than_it_was_written_is_found() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("full.crl");
        let der = vec![7; 5000];
        write(&Disk::File, &path, &der).unwrap();
        let wanted = ring::digest::digest(&SHA256, &der);
        for form in [Form::Der, Form::Pem, Form::Gzip, Form::Zstd] {
            let good = std::fs::read(form.path(&path)).unwrap();
            assert_eq!(form.hash(&good[..]).unwrap().as_ref(), wanted.as_ref());
            let cut = form.hash(&good[..good.len() / 2]);
            assert!(cut.is_err() || cut.unwrap().as_ref() != wanted.as_ref(), "{form:?}");
        }
    }
}

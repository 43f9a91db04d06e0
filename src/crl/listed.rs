//! The entries of a finished CRL, in an order in which records can be walked beside them.

use super::certificate_list::CertificateList;
use super::{GateError, entry};
use crate::der::{DerError, Reader};
use crate::pki::{Revocation, SerialNumber};

/// The entries of a list in the order of their serials: 16 octets an entry, which may be
/// sorted without touching the list, whose entries may fill a gigabyte.
pub(super) struct Listed<'a> {
    der: &'a [u8],
    places: Vec<Place>,
}

/// Where an entry begins, and the beginning of its serial.
#[derive(Clone, Copy)]
struct Place {
    /// Number of significant octets of the serial, then the first seven of them: as far as
    /// they reach, they order as the serial does.
    head: u64,
    offset: u32,
}

impl<'a> Listed<'a> {
    /// Reads every entry.
    pub(super) fn read(list: &CertificateList<'a>) -> Result<Self, GateError> {
        let der = list.revoked_certificates;
        let mut places = Vec::new();
        let mut reader = Reader::new(der);
        let mut offset = 0;
        while !reader.is_empty() {
            let len = reader.clone().element()?.whole.len();
            let (serial, revocation) = entry::read(&mut reader)?;
            if revocation.revoked_at > list.this_update {
                return Err(GateError::DateAfterThisUpdate(serial));
            }
            let offset_word = u32::try_from(offset).map_err(|_| DerError::LengthForm)?;
            places.push(Place { head: head(&serial), offset: offset_word });
            offset += len;
        }
        let mut listed = Self { der, places };
        listed.sort()?;
        Ok(listed)
    }

    /// Sorts; refuses a serial that stands twice.
    fn sort(&mut self) -> Result<(), GateError> {
        let Self { der, places } = self;
        let order = |left: &Place, right: &Place| {
            left.head.cmp(&right.head).then_with(|| serial_at(der, *left).cmp(&serial_at(der, *right)))
        };
        places.sort_unstable_by(order);
        let mut pairs = places.iter().zip(places.iter().skip(1));
        match pairs.find(|(left, right)| order(left, right).is_eq()) {
            Some((_, twice)) => Err(GateError::Duplicate(entry::read(&mut reader_at(der, *twice))?.0)),
            None => Ok(()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Result<(SerialNumber, Revocation), GateError>> {
        self.places.iter().map(|place| entry::read(&mut reader_at(self.der, *place)))
    }
}

fn head(serial: &SerialNumber) -> u64 {
    let magnitude = serial.magnitude();
    let start = magnitude.iter().copied().chain(std::iter::repeat(0)).take(HEAD_OCTETS);
    let len = u64::try_from(magnitude.len()).unwrap_or(u64::MAX);
    start.fold(len, |head, octet| head << 8 | u64::from(octet))
}

const HEAD_OCTETS: usize = 7;

fn reader_at(der: &[u8], place: Place) -> Reader<'_> {
    Reader::new(usize::try_from(place.offset).ok().and_then(|at| der.get(at..)).unwrap_or_default())
}

/// The serial of an entry that was read before.
fn serial_at(der: &[u8], place: Place) -> Option<SerialNumber> {
    entry::read(&mut reader_at(der, place)).ok().map(|(serial, _)| serial)
}

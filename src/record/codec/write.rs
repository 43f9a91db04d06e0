//! What appends to octets. Nothing is cut: a field that is too long for its place is refused, by
//! its name, and nothing of it stays behind.

use std::fmt;

use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertificateKind, Generation, Revocation, SerialNumber};
use crate::record::{CertificateRef, Issued, Position, StatusChange};

/// Octets of a text: their count is one octet.
pub const TEXT_OCTETS_MAX: usize = 0xff;

/// A field is longer than its place in an entry, or in a file of the store. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {field} has {found} {unit}, and {most} can be recorded: {}", .unit.advice())]
pub struct WriteError {
    /// Which field, as an operator would call it.
    pub field: &'static str,
    /// How much of it there is.
    pub found: usize,
    /// How much of it fits.
    pub most: usize,
    /// In what it is counted.
    pub unit: Unit,
}

/// What a field is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Of a text, a certificate, a whole entry.
    Octets,
    /// Of a list.
    Items,
}

impl Unit {
    const fn advice(self) -> &'static str {
        match self {
            Self::Octets => "give a shorter one",
            Self::Items => "divide them among several",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Octets => "octets",
            Self::Items => "items",
        })
    }
}

impl WriteError {
    /// Of a field of more octets than fit.
    #[must_use]
    pub const fn octets(field: &'static str, found: usize, most: usize) -> Self {
        Self { field, found, most, unit: Unit::Octets }
    }

    /// Of a list of more items than fit.
    #[must_use]
    pub const fn items(field: &'static str, found: usize, most: usize) -> Self {
        Self { field, found, most, unit: Unit::Items }
    }
}

/// Appends what `write` appends, or nothing.
pub(super) fn whole(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    let written = write(out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

pub(super) fn put_time(out: &mut Vec<u8>, time: UnixTime) {
    out.extend(time.seconds().to_be_bytes());
}

pub(super) fn put_text(out: &mut Vec<u8>, field: &'static str, text: &str) -> Result<(), WriteError> {
    let too_long = |_| WriteError::octets(field, text.len(), TEXT_OCTETS_MAX);
    out.push(u8::try_from(text.len()).map_err(too_long)?);
    out.extend(text.as_bytes());
    Ok(())
}

/// Octets behind their count in two.
pub(super) fn put_octets(
    out: &mut Vec<u8>,
    field: &'static str,
    octets: &[u8],
    most: usize,
) -> Result<(), WriteError> {
    let count = u16::try_from(octets.len()).ok().filter(|_| octets.len() <= most);
    let count = count.ok_or_else(|| WriteError::octets(field, octets.len(), most))?;
    out.extend(count.to_be_bytes());
    out.extend(octets);
    Ok(())
}

/// The count of a short list, in one octet.
fn put_short_count(out: &mut Vec<u8>, field: &'static str, count: usize) -> Result<(), WriteError> {
    let too_many = |_| WriteError::items(field, count, usize::from(u8::MAX));
    out.push(u8::try_from(count).map_err(too_many)?);
    Ok(())
}

/// The count of a long list, in two octets.
pub(super) fn put_long_count(out: &mut Vec<u8>, field: &'static str, count: usize) -> Result<(), WriteError> {
    let too_many = |_| WriteError::items(field, count, usize::from(u16::MAX));
    out.extend(u16::try_from(count).map_err(too_many)?.to_be_bytes());
    Ok(())
}

pub(super) fn put_authorities(out: &mut Vec<u8>, authorities: &[AuthorityId]) -> Result<(), WriteError> {
    put_short_count(out, "list of a CRL set's authorities", authorities.len())?;
    out.extend(authorities.iter().map(|authority| authority.0));
    Ok(())
}

pub(super) fn put_bases(out: &mut Vec<u8>, bases: &[(AuthorityId, Position)]) -> Result<(), WriteError> {
    put_short_count(out, "list of a delta set's bases", bases.len())?;
    for (authority, base) in bases {
        out.push(authority.0);
        out.extend(base.0.to_be_bytes());
    }
    Ok(())
}

/// A serial number always fits: its type keeps it below [`SerialNumber::OCTETS_MAX`].
pub(super) fn put_serial(out: &mut Vec<u8>, serial: &SerialNumber) {
    const { assert!(SerialNumber::OCTETS_MAX <= 0xff) }
    let magnitude = serial.magnitude();
    out.push(u8::try_from(magnitude.len()).unwrap_or(0));
    out.extend(magnitude);
}

fn put_certificate(out: &mut Vec<u8>, certificate: &CertificateRef) {
    put_key(out, certificate.authority, certificate.generation);
    put_serial(out, &certificate.serial);
}

pub(super) fn put_key(out: &mut Vec<u8>, authority: AuthorityId, generation: Generation) {
    out.extend([authority.0, generation.number()]);
}

/// A change of status; its tag says whether it has a cause.
pub(super) fn put_change<T>(
    out: &mut Vec<u8>,
    change: &StatusChange<T>,
    put_became: impl FnOnce(&mut Vec<u8>, &T),
) {
    put_certificate(out, &change.certificate);
    put_became(out, &change.became);
    out.extend(change.change.to_be_bytes());
    if let Some(cause) = change.cause {
        out.extend(cause.0.to_be_bytes());
    }
}

pub(super) fn put_revocation(out: &mut Vec<u8>, revocation: &Revocation) {
    put_time(out, revocation.revoked_at);
    out.push(revocation.reason.code());
    put_option(out, revocation.invalidity_date.as_ref(), |out, time| put_time(out, *time));
}

pub(super) fn put_issued(out: &mut Vec<u8>, issued: &Issued) {
    put_certificate(out, &issued.certificate);
    out.push(kind_code(issued.kind));
    put_option(out, issued.partition.as_ref(), |out, partition| out.extend(partition.0.to_be_bytes()));
    put_time(out, issued.not_before);
    put_time(out, issued.not_after);
    out.extend(issued.archive.0.to_be_bytes());
    out.extend(issued.sha256);
    put_option(out, issued.holder.as_ref(), |out, holder| out.extend(holder.0.to_be_bytes()));
    put_option(out, issued.card.as_ref(), |out, card| out.extend(card.0.to_be_bytes()));
    put_option(out, issued.twin.as_ref(), |out, (authority, serial)| {
        out.push(authority.0);
        put_serial(out, serial);
    });
}

pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) const fn kind_code(kind: CertificateKind) -> u8 {
    match kind {
        CertificateKind::Ca => 1,
        CertificateKind::OcspSigner => 2,
        CertificateKind::CardSign => 3,
        CertificateKind::CardAuth => 4,
        CertificateKind::PhoneSign => 5,
        CertificateKind::PhoneAuth => 6,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::CertStatus;
    use crate::record::{
        ArchivePlace, CERTIFICATE_OCTETS_MAX, Card, CardApplied, CardId, CardStatus, Change, Entry, Event,
        Holder, HolderId, HolderStatus, Movement, OnCard, Origin, Record, TABLE_OCTETS_MAX,
    };

    fn entry(event: Event) -> Entry {
        Entry { recorded_at: UnixTime::from_seconds(7), origin: Origin::service(), event }
    }

    /// Writes it behind something else, and reads it back: whole, or refused with nothing left behind.
    fn back(event: Event) -> Result<Entry, WriteError> {
        let mut octets = vec![0xee; 3];
        let written = entry(event).write(&mut octets);
        if let Err(error) = written {
            assert_eq!(octets, [0xee; 3], "something of it was left behind");
            return Err(error);
        }
        let mut rest = &octets[3..];
        let read = Entry::read(&mut rest).unwrap();
        assert!(rest.is_empty());
        Ok(read)
    }

    /// Every event with a field that can be too long: the field's name, its limit, and the event with
    /// so much of it.
    type Case = (&'static str, usize, fn(usize) -> Event);

    const OCTETS: [Case; 7] = [
        ("authority's name", TEXT_OCTETS_MAX, |len| Event::AuthorityOpened {
            authority: AuthorityId(1),
            name: "x".repeat(len),
        }),
        ("finding", TEXT_OCTETS_MAX, |len| Event::CrlSetReleased {
            begun: Position(1),
            finding: "x".repeat(len),
            reason: String::new(),
        }),
        ("reason", TEXT_OCTETS_MAX, |len| Event::CrlSetReleased {
            begun: Position(1),
            finding: String::new(),
            reason: "x".repeat(len),
        }),
        ("event's name", TEXT_OCTETS_MAX, |len| {
            Event::Movement(Movement {
                event: "x".repeat(len),
                holder: HolderId(1),
                card: None,
                kind: None,
                effective_at: UnixTime::default(),
                reported_at: None,
            })
        }),
        ("verifier's name", TEXT_OCTETS_MAX, |len| Event::VerifierRegistered {
            name: "x".repeat(len),
            certificate: vec![1],
        }),
        ("verifier's certificate", CERTIFICATE_OCTETS_MAX, |len| Event::VerifierRegistered {
            name: "kiosk".to_owned(),
            certificate: vec![1; len],
        }),
        ("table of rules", TABLE_OCTETS_MAX, |len| Event::RulesAdopted {
            sha256: [9; 32],
            table: Some("x".repeat(len)),
        }),
    ];

    const ITEMS: [Case; 2] = [
        ("list of a CRL set's authorities", 255, |len| Event::CrlSetBegun {
            authorities: vec![AuthorityId(1); len],
            scheduled: true,
        }),
        ("list of a delta set's bases", 255, |len| Event::CrlDeltasBegun {
            bases: vec![(AuthorityId(1), Position(7)); len],
        }),
    ];

    fn error_of((field, most, event): Case, len: usize) -> Option<WriteError> {
        let read = back(event(len));
        if len <= most {
            assert_eq!(read, Ok(entry(event(len))), "{field} of {len}");
            return None;
        }
        let error = read.expect_err(field);
        assert_eq!((error.field, error.found, error.most), (field, len, most));
        Some(error)
    }

    proptest! {
        #[test]
        fn a_field_around_its_limit_comes_back_whole_or_is_refused_by_its_name(
            case in 0..9_usize, around in 0..8_usize, far in 0..70_000_usize, is_near in any::<bool>(),
        ) {
            let (case, unit) = match OCTETS.get(case) {
                Some(case) => (*case, Unit::Octets),
                None => (ITEMS[case - OCTETS.len()], Unit::Items),
            };
            let len = if is_near { case.1 + around - 4 } else { far };
            prop_assert!(error_of(case, len).is_none_or(|error| error.unit == unit));
        }
    }

    #[test]
    fn the_last_that_fits_and_the_first_that_does_not() {
        for (case, unit) in
            OCTETS.map(|case| (case, Unit::Octets)).into_iter().chain(ITEMS.map(|case| (case, Unit::Items)))
        {
            assert_eq!(error_of(case, case.1), None);
            assert_eq!(error_of(case, case.1 + 1).unwrap().unit, unit);
        }
        let text = WriteError::octets("reason", 256, TEXT_OCTETS_MAX).to_string();
        assert_eq!(text, "the reason has 256 octets, and 255 can be recorded: give a shorter one");
        let text = WriteError::items("list of a person's cards", 65_536, 65_535).to_string();
        assert!(text.ends_with("has 65536 items, and 65535 can be recorded: divide them among several"));
    }

    fn serial() -> SerialNumber {
        SerialNumber::try_from(7).unwrap()
    }

    #[test]
    fn no_change_of_a_certificate_is_cut_off() {
        let certificate =
            CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial: serial() };
        let issued = Issued {
            certificate,
            kind: CertificateKind::PhoneAuth,
            partition: None,
            not_before: UnixTime::default(),
            not_after: UnixTime::MAX,
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        };
        let change = |position| Change {
            position: Position(position),
            recorded_at: UnixTime::default(),
            status: CertStatus::Good,
            cause: None,
        };
        let changes = (2..65_537).map(change).collect();
        let mut record = Record { position: Position(1), recorded_at: UnixTime::default(), issued, changes };
        let mut octets = Vec::new();
        record.write(&mut octets).unwrap();
        assert_eq!(Record::from_octets(&octets), Ok(record.clone()));
        record.changes.push(change(65_537));
        let mut octets = vec![0xee; 3];
        let refused = Err(WriteError::items("list of a certificate's changes", 65_536, 65_535));
        assert_eq!(record.write(&mut octets), refused);
        assert_eq!(record.write_changes(&mut octets), refused);
        assert_eq!(octets, [0xee; 3]);
    }

    #[test]
    fn no_certificate_of_a_card_nor_card_of_a_person_is_cut_off() {
        let applied = CardApplied {
            card: CardId(1),
            carrier: crate::pki::Carrier::Card,
            of: None,
            holder: HolderId(2),
            municipality: crate::pki::Partition(13221),
            expires: None,
        };
        let state = crate::pki::CarrierState::InUse;
        let status = CardStatus { state, suspended_at: None, released_at: None };
        let one = OnCard { kind: CertificateKind::CardSign, authority: AuthorityId(1), serial: serial() };
        let (recorded_at, position) = (UnixTime::default(), Position(3));
        let mut card = Card { applied, recorded_at, position, status, certificates: vec![one; 65_535] };
        let mut octets = Vec::new();
        card.write(&mut octets).unwrap();
        assert_eq!(Card::from_octets(&octets), Ok(card.clone()));
        card.certificates.push(one);
        let mut octets = vec![0xee; 3];
        let refused = Err(WriteError::items("list of a card's certificates", 65_536, 65_535));
        assert_eq!((card.write(&mut octets), octets), (refused, vec![0xee; 3]));

        let status = HolderStatus {
            municipality: card.applied.municipality,
            moved_at: None,
            overseas_since: None,
            ended_at: None,
        };
        let mut holder = Holder { id: HolderId(2), position, status, cards: vec![CardId(1); 65_535] };
        let mut octets = Vec::new();
        holder.write(&mut octets).unwrap();
        assert_eq!(Holder::from_octets(&octets), Ok(holder.clone()));
        holder.cards.push(CardId(1));
        let mut octets = vec![0xee; 3];
        let refused = Err(WriteError::items("list of a person's cards", 65_536, 65_535));
        assert_eq!((holder.write(&mut octets), octets), (refused, vec![0xee; 3]));
    }
}

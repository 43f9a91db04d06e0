//! Serial numbers that certificates bear although no entry says so.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::archived::Archived;
use super::comments::is_comment;
use super::inquiry::Selector;
use super::{Office, OfficeError};

impl Office {
    /// Sees to it that the serials of certificates in the archive that no entry names are not given again:
    /// they were signed, and a crash came before their entry; or their entry was lost.
    pub(super) fn pass_orphans(&self, orphans: &[Vec<u8>]) -> Result<(), OfficeError> {
        let certificates: Vec<_> = orphans.iter().filter(|orphan| !is_comment(orphan)).collect();
        for orphan in &certificates {
            let damaged = || {
                OfficeError::Lacks("a record behind the archive's last named one cannot be read".to_owned())
            };
            let archived = Archived::from_der(orphan).map_err(|_| damaged())?;
            X509Certificate::from_der(&archived.certificate).map_err(|_| damaged())?;
            // One of a key that is not here any more: its authority is another's, or gone with its serials.
            let Ok(named) = self.find(&Selector::Certificate(archived.certificate)) else { continue };
            if let Some(serial) = named.serial.to_u64() {
                self.store.pass_serial(named.authority, serial);
            }
        }
        if !certificates.is_empty() {
            tracing::info!(
                orphans = certificates.len(),
                "certificates were signed whose entries were never written: their serials are passed over"
            );
        }
        Ok(())
    }

    /// What was issued lies within what was reserved.
    pub(super) fn check_reservations(&self) -> Result<(), OfficeError> {
        let facts = self.store.facts();
        for authority in &self.profile.authorities {
            let issued = self.status.highest(authority.id).unwrap_or(0);
            let reserved = facts.reserved.get(&authority.id).copied().unwrap_or(0);
            if issued > reserved {
                return Err(OfficeError::Lacks(format!(
                    "serials of {} are reserved up to {reserved:#x} and given up to {issued:#x}: the journal lacks a \
                     reservation",
                    authority.name
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::office::data::DataDir;
    use crate::office::{Application, Place, Spelling, SubjectKeySource, init};
    use crate::pki::{AuthorityId, CertificateKind, Partition};
    use crate::record::{Event, Origin};
    use crate::store::Clock;

    const SIGN: AuthorityId = AuthorityId(1);

    fn start(data: &DataDir) -> Result<Arc<Office>, OfficeError> {
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        Office::start(data.clone(), config, Clock::system(), url).map(|(office, _)| office)
    }

    fn issue(office: &Office) -> (u64, Vec<u8>) {
        issue_one(office, CertificateKind::CardSign)
    }

    fn issue_one(office: &Office, kind: CertificateKind) -> (u64, Vec<u8>) {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let issued = office.issue(&application, Origin::service()).unwrap().certificates.remove(0).issued;
        let archived = office.store().archive_read(issued.archive).unwrap();
        (issued.certificate.serial.to_u64().unwrap(), archived)
    }

    /// Issued by the same key and named by no entry: by a copy of the directory, here.
    /// Between its being found and the next certificate of its authority comes `between`.
    fn an_orphan_is_passed_over(between: impl Fn(&Office)) {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data).unwrap();
        let (known, _) = issue(&office);
        office.stop().unwrap();
        drop(office);
        let copy = DataDir::new(&home.path().join("copy"));
        copy_dir(data.path(), copy.path());
        // As if nobody could tell.
        crate::office::bind(&copy).unwrap();
        let elsewhere = start(&copy).unwrap();
        let mut orphan = (known, Vec::new());
        // Beyond the block that the original would take next.
        for _ in 0..3 {
            orphan = issue(&elsewhere);
            let passed = elsewhere.store().facts().reserved.get(&SIGN).copied().unwrap() + 1024;
            elsewhere.store().pass_serial(SIGN, passed);
            while elsewhere.store().next_serial(SIGN).unwrap().to_u64() < Some(passed) {}
        }
        elsewhere.stop().unwrap();

        let mut office = start(&data).unwrap();
        office.store().archive_append_wait(orphan.1).unwrap();
        for _ in 0..2 {
            between(&office);
            office.stop().unwrap();
            drop(office);
            office = start(&data).unwrap();
        }
        assert!(issue(&office).0 > orphan.0, "{:#x}", orphan.0);
        office.stop().unwrap();
    }

    #[test]
    fn a_2_a_serial_that_only_the_archive_knows_is_not_given_again() {
        an_orphan_is_passed_over(|_| {});
    }

    /// Comments behind it, which entries name: no start forgets what stands before them.
    #[test]
    fn a_serial_that_only_the_archive_knows_is_not_given_again_behind_a_comment() {
        let number = std::cell::Cell::new(0);
        an_orphan_is_passed_over(|office| {
            number.set(number.get() + 1);
            let comment = format!("said {}", number.get()).parse().unwrap();
            let origin = office.commented(Origin::service(), Some(&comment)).unwrap();
            assert!(origin.comment.is_some());
            let nothing = move |_: &crate::store::Records<'_>, _| Ok(vec![Event::RequestSeen]);
            office.store().submit_wait(origin, Box::new(nothing)).unwrap();
        });
    }

    /// A certificate of another authority behind it.
    #[test]
    fn a_serial_that_only_the_archive_knows_is_not_given_again_behind_another_authoritys() {
        let lives = std::cell::Cell::new(0);
        an_orphan_is_passed_over(|office| {
            lives.set(lives.get() + 1);
            if lives.get() == 2 {
                issue_one(office, CertificateKind::CardAuth);
            }
        });
    }

    #[test]
    fn a_2_a_serial_above_what_was_reserved_is_damage() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data).unwrap();
        let (_, _) = issue(&office);
        let above = office.store().facts().reserved.get(&SIGN).copied().unwrap() + 1;
        let issued = office.store().facts().issuers.first().unwrap().issued.clone();
        let decide = move |_: &crate::store::Records<'_>, _| {
            let mut one = issued.clone();
            one.certificate.authority = SIGN;
            one.certificate.serial = crate::pki::SerialNumber::try_from(above).unwrap();
            one.kind = CertificateKind::CardSign;
            Ok(vec![Event::Issued(one)])
        };
        office.store().submit_wait(Origin::service(), Box::new(decide)).unwrap();
        office.stop().unwrap();
        drop(office);
        let refused = start(&data).map(drop);
        assert!(matches!(&refused, Err(OfficeError::Lacks(what)) if what.contains("reserv")), "{refused:?}");
    }

    fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy_dir(&path, &to);
            } else if entry.file_type().unwrap().is_file() {
                std::fs::copy(path, to).unwrap();
            }
        }
        let permissions = std::fs::metadata(from).unwrap().permissions();
        std::fs::set_permissions(to, permissions).unwrap();
    }
}

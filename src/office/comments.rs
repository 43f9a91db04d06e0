//! Comments on changes. The text may name persons, so it stands in the archive, where it can be erased; the entry
//! keeps its place and a digest of it.
//!
//! ```text
//! CommentArchived ::= [1] IMPLICIT SEQUENCE {
//!     salt  OCTET STRING,        -- 16 octets, random: the digest is of all of this
//!     text  UTF8String }
//! ```

use ring::rand::{SecureRandom, SystemRandom};

use super::authorities::sha256;
use super::{Office, OfficeError};
use crate::der::{DerError, Reader, Writer, tag};
use crate::record::{Comment, CommentRef, Origin, Position};
use crate::store::{NotReady, Outcome, StoreError, SubmitError};

const SALT_OCTETS: usize = 16;

/// What has become of the comment on an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommentSaid {
    /// It is there.
    Text(Comment),
    /// The archive has lost it, or it was erased.
    Lost,
    /// What stands in its place is another one than the entry was recorded with.
    Differs,
}

impl Office {
    /// The origin with a comment that is durable when this returns: the entry that names it comes after it. A
    /// request that was carried out before has its comment, and nothing is archived.
    ///
    /// # Errors
    /// The archive does not take it, or the key was used with another comment.
    pub fn commented(&self, origin: Origin, comment: Option<&Comment>) -> Result<Origin, OfficeError> {
        let before = origin.request.as_ref().map(|request| self.store.find_outcome(request));
        if let Some(outcome) = before.transpose()?.flatten() {
            self.check_same_comment(&outcome, comment)?;
            return Ok(origin);
        }
        let Some(comment) = comment else { return Ok(origin) };
        self.store.ready().map_err(|why| match why {
            NotReady::Archive(error) => OfficeError::CommentNotKept(error),
            other => SubmitError::from(other).into(),
        })?;
        let octets = archived(comment, &salt()?);
        let sha256 = sha256(&octets);
        let archive = self.store.archive_append_wait(octets).map_err(OfficeError::CommentNotKept)?;
        Ok(Origin { comment: Some(CommentRef { archive, sha256 }), ..origin })
    }

    /// Another comment under the same key is another request. The request's digest does not cover it: it would
    /// tell who tries.
    fn check_same_comment(&self, outcome: &Outcome, comment: Option<&Comment>) -> Result<(), OfficeError> {
        let entry = self.store.entry(outcome.position)?;
        let before = match entry.and_then(|numbered| numbered.entry.origin.comment) {
            Some(said) => Some(self.comment(&said)?),
            None => None,
        };
        let is_same = match (&before, comment) {
            (None, None) | (Some(CommentSaid::Lost | CommentSaid::Differs), Some(_)) => true,
            (Some(CommentSaid::Text(before)), Some(now)) => before == now,
            _ => false,
        };
        if is_same { Ok(()) } else { Err(SubmitError::KeyReused.into()) }
    }

    /// What has become of a comment.
    ///
    /// # Errors
    /// The disk refuses to read.
    pub(super) fn comment(&self, said: &CommentRef) -> Result<CommentSaid, OfficeError> {
        match self.store.archive_read(said.archive) {
            Ok(octets) if sha256(&octets) != said.sha256 => Ok(CommentSaid::Differs),
            Ok(octets) => Ok(text(&octets).map_or(CommentSaid::Differs, CommentSaid::Text)),
            // Of the last: the file ends before, or is not there.
            Err(StoreError::NoSuchPlace(_) | StoreError::Damaged(_) | StoreError::Disk(_)) => {
                Ok(CommentSaid::Lost)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Comments that are not as they were recorded, a line each.
    pub(super) fn examine_comments(&self) -> Result<Vec<String>, OfficeError> {
        let (mut findings, mut last) = (Vec::new(), None);
        for numbered in self.store.entries(Position(1)) {
            let numbered = numbered?;
            // Entries of one decision have one comment.
            let Some(said) = numbered.entry.origin.comment.filter(|said| last != Some(*said)) else {
                continue;
            };
            last = Some(said);
            findings.extend(finding(numbered.position, &self.comment(&said)?));
        }
        Ok(findings)
    }
}

/// What is wrong with the comment on an entry.
fn finding(position: Position, said: &CommentSaid) -> Option<String> {
    match said {
        CommentSaid::Text(_) => None,
        CommentSaid::Lost => Some(lost(position)),
        CommentSaid::Differs => Some(differs(position)),
    }
}

fn lost(position: Position) -> String {
    format!("the archive has lost the comment on entry {position}: restore store/archive from a backup")
}

/// The comment is another than the entry says.
pub(super) fn differs(position: Position) -> String {
    format!(
        "the archive holds another comment than entry {position} was recorded with: it was exchanged; restore \
         store/archive from a backup"
    )
}

fn salt() -> Result<[u8; SALT_OCTETS], OfficeError> {
    let mut salt = [0; SALT_OCTETS];
    let drawn = SystemRandom::new().fill(&mut salt);
    let none = |_| OfficeError::CommentNotKept(StoreError::Archive("no random octets".to_owned()));
    drawn.map(|()| salt).map_err(none)
}

fn archived(comment: &Comment, salt: &[u8; SALT_OCTETS]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.nested(tag::context_constructed(1), |w| {
            w.octet_string(salt);
            w.utf8(comment.text());
        });
    })
}

/// True for what is archived of a comment: no certificate, and no serial is spent by it.
pub(super) fn is_comment(octets: &[u8]) -> bool {
    text(octets).is_some()
}

fn text(octets: &[u8]) -> Option<Comment> {
    let mut reader = Reader::new(octets);
    let read = reader.optional_nested(tag::context_constructed(1), |r| {
        r.octet_string()?;
        String::from_utf8(r.read(tag::UTF8_STRING)?.to_vec()).map_err(|_| DerError::Content)
    });
    reader.finish().ok()?;
    read.ok()??.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_5_the_same_comment_has_another_digest_each_time_and_comes_back() {
        let comment: Comment = "本人から電話".parse().unwrap();
        let all: Vec<_> = (0..2).map(|_| archived(&comment, &salt().unwrap())).collect();
        assert_ne!(sha256(&all[0]), sha256(&all[1]));
        for octets in &all {
            assert_eq!(text(octets), Some(comment.clone()));
            for cut in 0..octets.len() {
                assert!(!is_comment(&octets[..cut]));
            }
        }
        assert!(!is_comment(&[0x30, 0]));
    }

    use std::sync::Arc;

    use crate::config::Config;
    use crate::office::data::DataDir;
    use crate::office::{
        Application, Asked, Condition, Place, Selector, Spelling, SubjectKeySource, Wish, init,
    };
    use crate::pki::{CertificateKind, Partition};
    use crate::record::{Actor, ArchivePlace, RequestId};
    use crate::store::Clock;

    fn start(data: &DataDir) -> Arc<Office> {
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        Office::start(data.clone(), config, Clock::system(), url).unwrap().0
    }

    fn issue(office: &Office) -> Selector {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![CertificateKind::CardSign],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let issued = office.issue(&application, Origin::service()).unwrap().certificates.remove(0).issued;
        Selector::Named { authority: "sign".to_owned(), serial: issued.certificate.serial }
    }

    fn revoke(office: &Office, certificate: &Selector, origin: Origin) -> Option<CommentSaid> {
        let asked = Asked { certificate: certificate.clone(), wish: Wish::revoke(None, None) };
        assert!(office.change(&asked, origin).unwrap().changed);
        office.inquire(certificate, None).unwrap().history.steps.pop().unwrap().comment
    }

    fn said(office: &Office, text: &str) -> CommentRef {
        let comment: Comment = text.parse().unwrap();
        office.commented(Origin::service(), Some(&comment)).unwrap().comment.unwrap()
    }

    #[test]
    fn c_5_a_comment_that_was_exchanged_or_is_lost_is_told_and_found() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let all: Vec<Selector> = (0..3).map(|_| issue(&office)).collect();
        let (right, other) = (said(&office, "right"), said(&office, "other"));
        let origin = |comment| Origin { comment: Some(comment), ..Origin::service() };
        let text = Some(CommentSaid::Text("right".parse().unwrap()));
        assert_eq!(revoke(&office, &all[0], origin(right)), text);
        assert_eq!(office.examine_comments().unwrap(), Vec::<String>::new());

        let exchanged = CommentRef { archive: other.archive, ..right };
        assert_eq!(revoke(&office, &all[1], origin(exchanged)), Some(CommentSaid::Differs));
        let findings = office.examine_comments().unwrap();
        assert!(findings.len() == 1 && findings[0].contains("holds another comment"), "{findings:?}");
        assert!(office.examine(None).unwrap().findings.contains(&findings[0]));
        office.stop().unwrap();
        drop(office);
        assert_eq!(Condition::of(&data, false, None).unwrap().findings, findings);

        let office = start(&data);
        let lost = CommentRef { archive: ArchivePlace(right.archive.0 + 1), ..right };
        assert_eq!(revoke(&office, &all[2], origin(lost)), Some(CommentSaid::Lost));
        let findings = office.examine_comments().unwrap();
        assert!(findings.len() == 2 && findings[1].contains("has lost the comment"), "{findings:?}");
        office.stop().unwrap();
    }

    /// A crash between the comment and its entry, or a refusal: no serial is spent, and the next start is as
    /// any other.
    #[test]
    fn c_5_a_comment_that_no_entry_names_hinders_no_start() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let certificate = issue(&office);
        said(&office, "of what was refused");
        office.stop().unwrap();
        drop(office);
        assert_eq!(Condition::of(&data, false, None).unwrap().findings, Vec::<String>::new());
        let office = start(&data);
        assert_eq!(revoke(&office, &certificate, Origin::service()), None);
        issue(&office);
        office.stop().unwrap();
    }

    #[test]
    fn c_5_the_same_key_with_another_comment_is_another_request() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let certificate = issue(&office);
        let request = Some(RequestId::new(&Actor::service(), "k", b"revoke"));
        let origin = Origin { request, ..Origin::service() };
        let [one, two] = ["one", "two"].map(|text| text.parse::<Comment>().unwrap());
        let first = office.commented(origin.clone(), Some(&one)).unwrap();
        assert!(revoke(&office, &certificate, first).is_some());
        let again = office.commented(origin.clone(), Some(&one)).unwrap();
        assert_eq!(again.comment, None, "nothing is archived");
        for other in [Some(&two), None] {
            let refused = office.commented(origin.clone(), other);
            assert!(matches!(refused, Err(OfficeError::Submit(SubmitError::KeyReused))), "{refused:?}");
        }
        office.stop().unwrap();
    }
}

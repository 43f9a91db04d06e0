//! Comments on changes. The text may name persons. It stands in the archive and not in the journal; the entry
//! keeps its place and a salted digest.
//!
//! ```text
//! CommentArchived ::= [1] IMPLICIT SEQUENCE {
//!     salt  OCTET STRING,        -- 16 octets, random: the digest is of all of this
//!     text  UTF8String }
//! ```

use std::io::ErrorKind;

use ring::rand::{SecureRandom, SystemRandom};

use super::authorities::sha256;
use super::{Office, OfficeError};
use crate::der::{DerError, Reader, Writer, tag};
use crate::record::{Comment, CommentRef, Origin, Position};
use crate::store::{Decide, NotReady, Outcome, StoreError, SubmitError};

const SALT_OCTETS: usize = 16;

/// Comments of which a line is said, of those that are lost and of those that differ.
const FINDINGS_MAX: usize = 20;

/// What has become of the comment on an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommentSaid {
    /// It is there.
    Text(Comment),
    /// The archive has nothing readable in its place.
    Lost,
    /// What stands in its place is another one than the entry was recorded with.
    Differs,
}

impl Office {
    /// The origin with a comment that is durable when this returns: the entry that names it comes after it. A
    /// request that was carried out before has its comment, which is named again, and nothing is archived.
    ///
    /// # Errors
    /// The archive does not take it, or the key was used with another comment.
    pub fn commented(&self, origin: Origin, comment: Option<&Comment>) -> Result<Origin, OfficeError> {
        let before = origin.request.as_ref().map(|request| self.store.find_outcome(request));
        if let Some(outcome) = before.transpose()?.flatten() {
            let before = self.comment_behind(&outcome)?;
            return if self.is_same_comment(before, comment)? {
                Ok(Origin { comment: before, ..origin })
            } else {
                Err(SubmitError::KeyReused.into())
            };
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

    /// Submits, and waits for what comes of it.
    ///
    /// # Errors
    /// The store does not take it; or the key was used meanwhile, with another comment.
    pub(super) fn submit_commented(&self, origin: Origin, decide: Decide) -> Result<Outcome, OfficeError> {
        let comment = origin.comment;
        self.as_commented(self.store.submit_wait(origin, decide)?, comment)
    }

    /// What came of a submission with `comment`. Before it nobody may have used its key: who used it meanwhile has
    /// the first outcome, and this is another request if the comment is another.
    ///
    /// # Errors
    /// [`SubmitError::KeyReused`].
    pub(super) fn as_commented(
        &self,
        outcome: Outcome,
        comment: Option<CommentRef>,
    ) -> Result<Outcome, OfficeError> {
        if !outcome.repeated {
            return Ok(outcome);
        }
        let before = self.comment_behind(&outcome)?;
        let is_same = before == comment || {
            let now = comment.map(|said| self.comment(&said)).transpose()?;
            match &now {
                Some(CommentSaid::Text(now)) => self.is_same_comment(before, Some(now))?,
                // What cannot be read any more is no reason to refuse.
                Some(CommentSaid::Lost | CommentSaid::Differs) => before.is_some(),
                None => false,
            }
        };
        if is_same { Ok(outcome) } else { Err(SubmitError::KeyReused.into()) }
    }

    fn comment_behind(&self, outcome: &Outcome) -> Result<Option<CommentRef>, OfficeError> {
        let entry = self.store.entry(outcome.position)?;
        Ok(entry.and_then(|numbered| numbered.entry.origin.comment))
    }

    /// Another comment under the same key is another request. The request's digest does not cover it: it would
    /// tell who tries.
    fn is_same_comment(
        &self,
        before: Option<CommentRef>,
        now: Option<&Comment>,
    ) -> Result<bool, OfficeError> {
        let before = before.map(|said| self.comment(&said)).transpose()?;
        Ok(match (&before, now) {
            (None, None) | (Some(CommentSaid::Lost | CommentSaid::Differs), Some(_)) => true,
            (Some(CommentSaid::Text(before)), Some(now)) => before == now,
            _ => false,
        })
    }

    /// What has become of a comment.
    ///
    /// # Errors
    /// The disk refuses to read.
    pub(super) fn comment(&self, said: &CommentRef) -> Result<CommentSaid, OfficeError> {
        match self.store.archive_read(said.archive) {
            Ok(octets) if sha256(&octets) != said.sha256 => Ok(CommentSaid::Differs),
            Ok(octets) => Ok(text(&octets).map_or(CommentSaid::Differs, CommentSaid::Text)),
            Err(error) if is_lost(&error) => Ok(CommentSaid::Lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Comments that are not as they were recorded.
    pub(super) fn examine_comments(&self) -> Result<Vec<String>, OfficeError> {
        let (mut lost, mut differing, mut last) = (Vec::new(), Vec::new(), None);
        for numbered in self.store.entries(Position(1)) {
            let numbered = numbered?;
            // Entries of one decision have one comment.
            let Some(said) = numbered.entry.origin.comment.filter(|said| last != Some(*said)) else {
                continue;
            };
            last = Some(said);
            match self.comment(&said)? {
                CommentSaid::Text(_) => {}
                CommentSaid::Lost => lost.push(numbered.position),
                CommentSaid::Differs => differing.push(numbered.position),
            }
        }
        Ok(findings(&lost, &differing))
    }
}

/// True when there is nothing to be read in a comment's place, now or later. Any other fault of the disk may
/// pass.
fn is_lost(error: &StoreError) -> bool {
    match error {
        StoreError::NoSuchPlace(_) | StoreError::Damaged(_) => true,
        // The file is not there, or ends before.
        StoreError::Disk(fault) => {
            matches!(fault.error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// What is to be said of entries whose comment is not as it was recorded: a line each, up to a number.
pub(super) fn findings(lost: &[Position], differing: &[Position]) -> Vec<String> {
    let differs = bounded(differing, |position| {
        format!(
            "the archive holds another comment than entry {position} was recorded with: it was exchanged; look for \
             the right one in a backup of store/archive"
        )
    });
    let is_lost = bounded(lost, |position| {
        format!(
            "the archive has lost the comment on entry {position}: look for it in a backup of store/archive; nothing \
             else depends on it"
        )
    });
    differs.into_iter().chain(is_lost).collect()
}

fn bounded(positions: &[Position], line: impl Fn(&Position) -> String) -> Vec<String> {
    let mut lines: Vec<String> = positions.iter().take(FINDINGS_MAX).map(line).collect();
    let more = positions.len().saturating_sub(FINDINGS_MAX);
    if let (1.., Some(last)) = (more, positions.last()) {
        lines.push(format!("and so it is with the comments on {more} entries more, the last of them {last}"));
    }
    lines
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

    fn application() -> Application {
        Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![CertificateKind::CardSign],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        }
    }

    fn issue(office: &Office) -> Selector {
        let issued = office.issue(&application(), Origin::service()).unwrap().certificates.remove(0).issued;
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
        let first_said = first.comment;
        assert!(revoke(&office, &certificate, first).is_some());
        let again = office.commented(origin.clone(), Some(&one)).unwrap();
        assert_eq!(again.comment, first_said, "nothing is archived");
        for other in [Some(&two), None] {
            let refused = office.commented(origin.clone(), other);
            assert!(matches!(refused, Err(OfficeError::Submit(SubmitError::KeyReused))), "{refused:?}");
        }
        office.stop().unwrap();
    }

    /// The archive's last segment, and its octets.
    fn last_segment(data: &DataDir) -> (std::path::PathBuf, Vec<u8>) {
        let all = std::fs::read_dir(data.store().join("archive")).unwrap();
        let last = all.map(|entry| entry.unwrap().path()).max().unwrap();
        let octets = std::fs::read(&last).unwrap();
        (last, octets)
    }

    fn lost(data: &DataDir) -> usize {
        let findings = Condition::of(data, false, None).unwrap().findings;
        assert!(findings.iter().all(|one| one.contains("has lost the comment")), "{findings:?}");
        findings.len()
    }

    fn comments_of(office: &Office, certificate: &Selector) -> Option<CommentSaid> {
        office.inquire(certificate, None).unwrap().history.steps.pop().unwrap().comment
    }

    fn commented(office: &Office, text: &str) -> Origin {
        office.commented(Origin::service(), Some(&text.parse().unwrap())).unwrap()
    }

    /// Revokes with comments, stops, lets `harm` be done to the archive, and sees that nothing but the comments
    /// is missing, now and after all that follows.
    fn lose(data: &DataDir, count: usize, before: usize, harm: impl FnOnce(&DataDir)) {
        let office = start(data);
        let all: Vec<Selector> = (0..=count).map(|_| issue(&office)).collect();
        office.stop().unwrap();
        drop(office);
        let (segment, octets) = last_segment(data);
        let office = start(data);
        for certificate in &all[1..] {
            revoke(&office, certificate, commented(&office, "what is about to be lost"));
        }
        office.stop().unwrap();
        drop(office);
        assert_eq!(lost(data), before);
        harm(data);
        let (now, left) = last_segment(data);
        assert!(now == segment && left.starts_with(&octets), "no certificate is harmed");
        assert_eq!(lost(data), before + count);

        let office = start(data);
        office.store().ready().unwrap();
        assert_eq!(comments_of(&office, &all[1]), Some(CommentSaid::Lost));
        let later = issue(&office);
        let origin = commented(&office, "kept");
        assert_eq!(revoke(&office, &later, origin), Some(CommentSaid::Text("kept".parse().unwrap())));
        assert_eq!(office.examine(None).unwrap().findings.len(), before + count);
        office.stop().unwrap();
        drop(office);
        assert_eq!(lost(data), before + count);
        let office = start(data);
        office.store().ready().unwrap();
        for certificate in &all[1..] {
            assert_eq!(comments_of(&office, certificate), Some(CommentSaid::Lost));
        }
        assert_eq!(comments_of(&office, &later), Some(CommentSaid::Text("kept".parse().unwrap())));
        issue(&office);
        office.stop().unwrap();
    }

    #[test]
    fn comments_lost_at_the_archives_end_stop_nothing_and_are_found() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        // Of the last frame an octet, its checksum's too, or some of its end.
        let flip = |from_end: usize| {
            move |data: &DataDir| {
                let (segment, mut octets) = last_segment(data);
                let at = octets.len() - from_end;
                octets[at] ^= 1;
                std::fs::write(segment, octets).unwrap();
            }
        };
        let cut = |by: usize| {
            move |data: &DataDir| {
                let (segment, octets) = last_segment(data);
                std::fs::write(segment, &octets[..octets.len() - by]).unwrap();
            }
        };
        lose(&data, 1, 0, flip(1));
        lose(&data, 1, 1, flip(40));
        lose(&data, 1, 2, cut(1));
        lose(&data, 1, 3, cut(70));
    }

    /// As after a restore of last night's archive beside today's journal.
    #[test]
    fn an_archive_of_last_night_costs_todays_comments_alone() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let mut before = 0;
        for count in [3, 60] {
            let office = start(&data);
            let all: Vec<Selector> = (0..count).map(|_| issue(&office)).collect();
            office.stop().unwrap();
            drop(office);
            let (segment, octets) = last_segment(&data);
            let office = start(&data);
            for certificate in &all {
                revoke(&office, certificate, commented(&office, &"長".repeat(400)));
            }
            office.stop().unwrap();
            drop(office);
            std::fs::write(segment, octets).unwrap();
            before += count;
            let told = Condition::of(&data, false, None).unwrap().findings;
            assert_eq!(told.len(), before.min(FINDINGS_MAX + 1), "{told:?}");
            if before > FINDINGS_MAX {
                let more = format!("comments on {} entries more", before - FINDINGS_MAX);
                assert!(told.last().unwrap().contains(&more), "{told:?}");
            }
            let office = start(&data);
            office.store().ready().unwrap();
            issue(&office);
            assert_eq!(office.examine_comments().unwrap(), told);
            office.stop().unwrap();
        }
    }

    #[test]
    fn a_lost_certificate_stops_issuing_and_refuses_a_comment() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let certificates = [issue(&office), issue(&office)];
        revoke(&office, &certificates[0], commented(&office, "there"));
        issue(&office);
        office.stop().unwrap();
        drop(office);
        let (segment, octets) = last_segment(&data);
        std::fs::write(&segment, &octets[..octets.len() - 1]).unwrap();
        let told = Condition::of(&data, false, None).unwrap_err().to_string();
        assert!(told.contains("ends before a certificate that the journal names"), "{told}");

        let office = start(&data);
        assert!(matches!(office.store().ready(), Err(NotReady::Archive(_))));
        assert_eq!(comments_of(&office, &certificates[0]), Some(CommentSaid::Text("there".parse().unwrap())));
        let head = office.store().head();
        let refused = office.commented(Origin::service(), Some(&"not kept".parse().unwrap())).unwrap_err();
        assert!(matches!(refused, OfficeError::CommentNotKept(_)), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("nothing was changed") && told.contains("without a comment"), "{told}");
        assert_eq!(office.store().head(), head);
        assert_eq!(revoke(&office, &certificates[1], Origin::service()), None);
        office.stop().unwrap();
    }

    /// A fault that may pass is no loss: nobody is told that the comment is gone, and no other passes for it.
    #[test]
    fn a_fault_of_the_disk_is_not_told_as_a_loss() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let certificate = issue(&office);
        let request = Some(RequestId::new(&Actor::service(), "k", b"revoke"));
        let asked = Origin { request, ..Origin::service() };
        let [one, two] = ["one", "two"].map(|text| text.parse::<Comment>().unwrap());
        let origin = office.commented(asked.clone(), Some(&one)).unwrap();
        let said = origin.comment.unwrap();
        revoke(&office, &certificate, origin);

        let (segment, _) = last_segment(&data);
        let aside = home.path().join("aside");
        std::fs::rename(&segment, &aside).unwrap();
        assert_eq!(office.comment(&said).unwrap(), CommentSaid::Lost, "the file is not there");
        // It can be opened, and not read.
        std::fs::create_dir(&segment).unwrap();
        for told in [
            office.comment(&said).map(drop),
            office.commented(asked.clone(), Some(&two)).map(drop),
            office.examine_comments().map(drop),
        ] {
            assert!(matches!(told, Err(OfficeError::Store(StoreError::Disk(_)))), "{told:?}");
        }
        std::fs::remove_dir(&segment).unwrap();
        std::fs::rename(&aside, &segment).unwrap();
        assert_eq!(office.comment(&said).unwrap(), CommentSaid::Text(one));
        office.stop().unwrap();

        let fault = |kind: ErrorKind| {
            let error = Arc::new(std::io::Error::from(kind));
            StoreError::Disk(crate::store::DiskFault { doing: "read", path: segment.clone(), error })
        };
        for (kind, lost) in [
            (ErrorKind::NotFound, true),
            (ErrorKind::UnexpectedEof, true),
            (ErrorKind::PermissionDenied, false),
            (ErrorKind::Interrupted, false),
            (ErrorKind::Other, false),
        ] {
            assert_eq!(is_lost(&fault(kind)), lost, "{kind:?}");
        }
    }

    /// Both looked before either was submitted.
    #[test]
    fn of_two_requests_under_way_with_one_key_the_second_with_another_comment_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        let certificate = issue(&office);
        let request = |key: &str| Some(RequestId::new(&Actor::service(), key, b"the same"));
        let under_way = |key: &str| {
            let asked = Origin { request: request(key), ..Origin::service() };
            let comments = [Some("one"), Some("one"), Some("two"), None];
            comments.map(|text| {
                let comment = text.map(|text| text.parse::<Comment>().unwrap());
                office.commented(asked.clone(), comment.as_ref()).unwrap()
            })
        };
        let is_refused = |told: Result<(), OfficeError>| {
            assert!(matches!(told, Err(OfficeError::Submit(SubmitError::KeyReused))), "{told:?}");
        };
        let judge = |key: &str, ask: &dyn Fn(Origin) -> Result<(), OfficeError>| {
            let [first, same, other, none] = under_way(key);
            ask(first).unwrap();
            ask(same).unwrap();
            is_refused(ask(other));
            is_refused(ask(none));
            // And the other way about: none first.
            let key = format!("{key} again");
            let [said, _, _, none] = under_way(&key);
            ask(none.clone()).unwrap();
            ask(none).unwrap();
            is_refused(ask(said));
        };
        let asked = Asked { certificate, wish: Wish::revoke(None, None) };
        judge("revoke", &|origin| office.change(&asked, origin).map(drop));
        judge("issue", &|origin| office.issue(&application(), origin).map(drop));
        office.stop().unwrap();
    }
}

//! Issuing a resident's certificates: one, or the pair of a card or phone.
//!
//! All that can be refused is refused before anything is spent: keys are read, verified and looked up, and
//! each certificate is written once on trial, before a CRL partition is opened or a serial is given.
//! Signing happens here, off the committer. What was signed is read back and compared with the order; the
//! archive has it before the journal hears of it, and its octets leave only after the journal has
//! acknowledged the issue.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use ring::rand::{SecureRandom, SystemRandom};

use super::archived::{Archived, Holder};
use super::authorities::{archived_certificate, sha256};
use super::decisions::Placed;
use super::subject_keys::{SubjectKeySource, SubjectKeys};
use super::{LiveGeneration, Office, OfficeError};
use crate::der::UnixTime;
use crate::issue::{
    self, Address, Applicant, BirthDate, CommonName, HolderName, IssueError, Limits, OcspUrl, Resident, Sex,
    SubjectKey, Validity, WindowId,
};
use crate::lifecycle::{self, Carried, Occasion, Residence};
use crate::pki::{
    AuthorityId, Carrier, CertificateKind, Issuer, Partition, SerialNumber, SignatureAlgorithm,
};
use crate::profile::{CertificateProfile, Profile};
use crate::record::{
    ArchivePlace, CardId, CertificateRef, CertifiedKey, Event, HolderId, Issued, Numbered, Origin, Position,
};
use crate::store::{Outcome, StoreError, SubmitError};
use crate::sync::in_parallel;

/// The window that takes applications made here: there are no counters behind it.
const WINDOW: &str = "003A";

/// What somebody applies for.
#[derive(Clone)]
pub struct Application {
    /// Family and given name.
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`; `00` for a day or month, or `unknown`, as [`BirthDate::parse`] has it.
    pub birth: String,
    /// `male`, `female` or `other`, or its digit.
    pub sex: String,
    /// Address, prefecture first; of who lives overseas, as the profile has it.
    pub address: String,
    /// How name and address are written.
    pub spelling: Spelling,
    /// Where the holder lives, or lived last before moving overseas; the CRL partition of the certificates.
    pub municipality: Partition,
    /// The kinds wanted: one, or both of a card's or of a phone's.
    pub kinds: Vec<CertificateKind>,
    /// Where the public key comes from.
    pub subject_key: SubjectKeySource,
    /// What they are put on.
    pub place: Place,
}

/// What is out of the ordinary in how a name and an address are written.
#[derive(Clone, Default)]
pub struct Spelling {
    /// Former surname (旧氏), which becomes part of the name; see [`HolderName::new`].
    pub former_surname: Option<String>,
    /// A 0 or 1 for each character of the name as it is certified: 1 where a substitute stands.
    pub name_substitutes: Option<String>,
    /// The same for the address.
    pub address_substitutes: Option<String>,
}

/// What certificates are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A new card of somebody new; for phone kinds, a phone set up with no card that is known here.
    New,
    /// A card that was applied for.
    Card(CardId),
    /// A card, instead of those that are on it.
    Renewed(CardId),
    /// A new phone, set up with this card; its holder's phone before it is at its end then.
    Phone {
        /// The card.
        with: CardId,
    },
}

/// The certificates issued.
#[derive(Debug, Clone)]
pub struct IssuedPair {
    /// In the order of their issue.
    pub certificates: Vec<IssuedCertificate>,
    /// Position of the first.
    pub position: Position,
    /// When the issue was recorded.
    pub recorded_at: UnixTime,
    /// True when the request had been carried out before.
    pub repeated: bool,
}

/// One certificate issued.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// Its authority's name.
    pub authority: String,
    /// The journal's word on it.
    pub issued: Issued,
    /// DER.
    pub der: Vec<u8>,
}

/// What is known of the place before anything is signed; looked at again when it is recorded.
struct Lodging {
    place: Place,
    card: CardId,
    holder: HolderId,
    /// The card's own expiry.
    expires: Option<UnixTime>,
    /// All certificates there end with this.
    inherited: Option<UnixTime>,
    /// Ends of the newest certificates there, by kind.
    ends: Vec<(CertificateKind, UnixTime)>,
}

/// What was applied for and may be granted.
struct Granted {
    residence: Residence,
    lodging: Lodging,
    holder: Holder,
    applicant: Applicant,
    ocsp_url: OcspUrl,
    keys: SubjectKeys,
    planned: Vec<Planned>,
}

/// A certificate that may be issued; it has no serial yet.
struct Planned {
    kind: CertificateKind,
    authority: AuthorityId,
    live: Arc<LiveGeneration>,
    algorithm: SignatureAlgorithm,
    validity: Validity,
    common_name: CommonName,
}

/// What was granted, with its serials: to be signed.
struct Order {
    granted: Granted,
    unsigned: Vec<Unsigned>,
}

/// A certificate without its signature, beside its [`Planned`].
struct Unsigned {
    serial: SerialNumber,
    key: SubjectKey,
    tbs: Vec<u8>,
}

/// An order whose certificates are signed and on their way into the archive.
struct Signed {
    residence: Residence,
    lodging: Lodging,
    keys: Vec<CertifiedKey>,
    certificates: Vec<Archiving>,
}

/// A certificate on its way into the archive.
struct Archiving {
    kind: CertificateKind,
    certificate: CertificateRef,
    validity: Validity,
    sha256: [u8; 32],
    place: Receiver<Result<ArchivePlace, StoreError>>,
}

impl Office {
    /// Issues what is applied for. When this returns, the certificates are archived and
    /// recorded, and OCSP answers `good` for them.
    ///
    /// # Errors
    /// The application is wrong or forbidden: nothing was spent then. Or what changed meanwhile forbids
    /// it, or the store does not take it: serials spent on the way answer `unknown` for ever.
    pub fn issue(&self, application: &Application, origin: Origin) -> Result<IssuedPair, OfficeError> {
        let asked = [(application.clone(), origin)];
        self.issue_all(&asked).pop().unwrap_or_else(|| Err(SubmitError::Stopped.into()))
    }

    /// As [`Self::issue`], for many: serials are given in the order of the applications, all cores
    /// sign, and the disk is waited for once. What became of each.
    #[must_use]
    pub fn issue_all(&self, asked: &[(Application, Origin)]) -> Vec<Result<IssuedPair, OfficeError>> {
        let before: Vec<Option<Result<IssuedPair, OfficeError>>> =
            asked.iter().map(|(_, origin)| self.issued_before(origin).transpose()).collect();
        let new = || asked.iter().zip(&before).filter(|(_, before)| before.is_none()).map(|(new, _)| new);
        let orders: Vec<_> = new().map(|(application, _)| self.order(application)).collect();
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let signed = in_parallel(cores, orders, |order| self.sign_and_archive(order?));
        let recording =
            signed.into_iter().zip(new()).map(|(order, (_, origin))| self.record_signed(order?, origin));
        // Every one is on its way before the first is waited for.
        let recording: Vec<Result<Receiver<_>, OfficeError>> = recording.collect();
        let comments: Vec<_> = new().map(|(_, origin)| origin.comment).collect();
        let mut issued = recording.into_iter().zip(comments).map(|(outcome, comment)| {
            let outcome = outcome?.recv().unwrap_or(Err(SubmitError::Stopped))?;
            self.issued_pair(&self.as_commented(outcome, comment)?)
        });
        let unheard = || Err(SubmitError::Stopped.into());
        let one = |before: Option<_>| before.or_else(|| issued.next()).unwrap_or_else(unheard);
        before.into_iter().map(one).collect()
    }

    fn issued_before(&self, origin: &Origin) -> Result<Option<IssuedPair>, OfficeError> {
        let Some(request) = &origin.request else { return Ok(None) };
        let Some(outcome) = self.store.find_outcome(request)? else { return Ok(None) };
        self.issued_pair(&self.as_commented(outcome, origin.comment)?).map(Some)
    }

    fn order(&self, application: &Application) -> Result<Order, OfficeError> {
        let granted = self.grant(application)?;
        let partitions = granted.planned.iter().map(|one| (one.authority, granted.residence.municipality));
        self.open_partitions(&partitions.collect())?;
        let numbered = |one: &Planned| self.unsigned(&granted, one, self.store.next_serial(one.authority)?);
        let unsigned = granted.planned.iter().map(numbered).collect::<Result<_, _>>()?;
        Ok(Order { granted, unsigned })
    }

    /// Looks at all that can be refused; spends nothing.
    fn grant(&self, application: &Application) -> Result<Granted, OfficeError> {
        self.believed_clock()?;
        let now = self.clock.now();
        let municipality = application.municipality;
        let applicant = applicant(application, now)?;
        self.profile.municipalities.residence(municipality).map_err(IssueError::from)?;
        let kinds = kinds(&application.kinds)?;
        let keys = SubjectKeys::read(&application.subject_key, &kinds)?;
        let residence = self.residence(municipality, &applicant, &kinds);
        let lodging = self.lodging(application.place, &residence, &kinds, now)?;
        self.refuse_known_keys(&keys, lodging.holder)?;
        let planned = self.planned(&kinds, &applicant, &lodging, municipality, now)?;
        let holder = Holder {
            id: lodging.holder,
            name: applicant.name.text().to_owned(),
            birth: application.birth.clone(),
            sex: applicant.sex.code().to_owned(),
            address: applicant.address.text().to_owned(),
        };
        let ocsp_url = self.public_url.parse()?;
        let granted = Granted { residence, lodging, holder, applicant, ocsp_url, keys, planned };
        for one in &granted.planned {
            // Written on trial: whatever the profile, the law or the issuer's own end forbids shows here.
            let coming = self.store.coming_serial(one.authority);
            let coming = coming.ok_or_else(|| OfficeError::Lacks("serial numbers are used up".to_owned()))?;
            self.unsigned(&granted, one, coming)?;
        }
        Ok(granted)
    }

    /// What the certificates would show of where the holder lives.
    fn residence(
        &self,
        municipality: Partition,
        applicant: &Applicant,
        kinds: &[CertificateKind],
    ) -> Residence {
        let mut profiles = kinds.iter().filter_map(|kind| self.profile.certificate(*kind));
        let is_shown = profiles.any(CertificateProfile::names_holder);
        let is_overseas = applicant.address.text().starts_with(&self.profile.overseas_address);
        Residence { municipality, is_overseas: is_shown.then_some(is_overseas) }
    }

    fn sign_and_archive(&self, order: Order) -> Result<Signed, OfficeError> {
        let Order { granted, unsigned } = order;
        let mut signed = Vec::with_capacity(unsigned.len());
        for (one, Unsigned { serial, key, tbs }) in granted.planned.iter().zip(unsigned) {
            let (tbs, signature) = self.sign(&one.live, tbs)?;
            let der = issue::assemble(&tbs, one.algorithm, &signature);
            granted.resident(&self.profile, one, serial, &key).confirm(&der)?;
            signed.push((one, serial, der));
        }
        let Granted { residence, lodging, holder, keys, .. } = &granted;
        let certified = |(one, serial, _): &(&Planned, SerialNumber, Vec<u8>)| {
            keys.certified(one.kind, lodging.holder, (one.authority, *serial))
        };
        let keys = signed.iter().filter_map(certified).collect();
        let certificates = signed.into_iter().map(|(one, serial, der)| {
            let (sha256, (told, place)) = (sha256(&der), mpsc::sync_channel(1));
            let archived = Archived { certificate: der, holder: Some(holder.clone()) };
            self.store.archive_append(archived.to_der(), Box::new(move |place| drop(told.send(place))));
            let Issuer { authority, generation, .. } = *one.live.issuer;
            let certificate = CertificateRef { authority, generation, serial };
            Archiving { kind: one.kind, certificate, validity: one.validity, sha256, place }
        });
        let certificates = certificates.collect();
        Ok(Signed { residence: *residence, keys, certificates, lodging: granted.lodging })
    }

    /// Journals certificates once they stand in the archive, with what becomes of those before
    /// them.
    fn record_signed(
        &self,
        order: Signed,
        origin: &Origin,
    ) -> Result<Receiver<Result<Outcome, SubmitError>>, OfficeError> {
        let Signed { residence, lodging: Lodging { place, card, holder, .. }, keys, certificates } = order;
        let names: Vec<(AuthorityId, SerialNumber)> =
            certificates.iter().map(|one| (one.certificate.authority, one.certificate.serial)).collect();
        let mut all = Vec::with_capacity(certificates.len());
        for Archiving { kind, certificate, validity, sha256, place } in certificates {
            let own = (certificate.authority, certificate.serial);
            all.push(Issued {
                certificate,
                kind,
                partition: Some(residence.municipality),
                not_before: validity.not_before(),
                not_after: validity.not_after(),
                archive: place.recv().unwrap_or(Err(StoreError::Closed))?,
                sha256,
                holder: Some(holder),
                card: Some(card),
                twin: names.iter().copied().find(|name| *name != own),
            });
        }
        let decide = Placed { place, card, holder, residence, all, keys }.decision(&self.profile.rules)?;
        let (told, outcome) = mpsc::sync_channel(1);
        self.store.submit(origin.clone(), decide, Box::new(move |outcome| drop(told.send(outcome))));
        Ok(outcome)
    }

    /// Looks at the place, and refuses what would be refused after all the work.
    fn lodging(
        &self,
        place: Place,
        residence: &Residence,
        kinds: &[CertificateKind],
        now: UnixTime,
    ) -> Result<Lodging, OfficeError> {
        let new = || Ok::<_, OfficeError>(CardId(random()?));
        let known = match place {
            Place::New => {
                let (card, holder) = (new()?, HolderId(random()?));
                return Ok(Lodging { place, card, holder, expires: None, inherited: None, ends: Vec::new() });
            }
            Place::Card(card) | Place::Renewed(card) | Place::Phone { with: card } => self.card(card)?,
        };
        lifecycle::may_live(residence, &known.holder)?;
        let holder = known.holder.id;
        let one = Carried { card: known.card, records: known.records };
        let (card, inherited) = match place {
            Place::Phone { .. } => {
                phone_kinds(kinds)?;
                (new()?, Some(lifecycle::may_set_up_phone(&one, &known.holder, now)?))
            }
            _ => {
                lifecycle::may_issue(place.occasion(), &one, &known.holder, kinds, now)?;
                (one.card.applied.card, None)
            }
        };
        let ends = one.records.iter().map(|record| (record.issued.kind, record.issued.not_after)).collect();
        Ok(Lodging { place, card, holder, expires: one.card.applied.expires, inherited, ends })
    }

    /// What may be issued. The authentication certificate is looked at first: a signing certificate ends
    /// no later than it.
    fn planned(
        &self,
        kinds: &[CertificateKind],
        applicant: &Applicant,
        lodging: &Lodging,
        municipality: Partition,
        now: UnixTime,
    ) -> Result<Vec<Planned>, OfficeError> {
        let newest = |kind| lodging.ends.iter().rev().find(|(of, _)| *of == kind).map(|(_, end)| *end);
        let mut twin = newest(CertificateKind::CardAuth).filter(|end| *end > now);
        let mut planned = Vec::with_capacity(kinds.len());
        for kind in kinds.iter().copied().rev() {
            let authority = self.profile.authority_of(kind).ok_or(IssueError::Profile(kind))?.id;
            let live = self.signing_generation(authority)?;
            let ca_not_after = live.issuer.not_after;
            let limits = Limits {
                previous: newest(kind),
                card_expiry: lodging.expires,
                twin: twin.filter(|_| matches!(kind, CertificateKind::CardSign | CertificateKind::PhoneSign)),
                ca_not_after,
            };
            let not_after = match lodging.inherited {
                Some(end) => issue::phone_not_after(end, now, ca_not_after)?,
                None => issue::not_after(&applicant.birth, now, &limits)?,
            };
            let validity = Validity::new(now, not_after)?;
            let common_name = self.common_name(kind, municipality, now)?;
            twin = Some(not_after);
            let algorithm = live.key()?.algorithm();
            planned.push(Planned { kind, authority, live, algorithm, validity, common_name });
        }
        planned.reverse();
        Ok(planned)
    }

    fn unsigned(
        &self,
        granted: &Granted,
        one: &Planned,
        serial: SerialNumber,
    ) -> Result<Unsigned, OfficeError> {
        let key = granted.keys.key(one.kind, &serial)?;
        let tbs = granted.resident(&self.profile, one, serial, &key).tbs()?;
        Ok(Unsigned { serial, key, tbs })
    }

    fn common_name(
        &self,
        kind: CertificateKind,
        municipality: Partition,
        now: UnixTime,
    ) -> Result<CommonName, OfficeError> {
        let window: WindowId = WINDOW.parse()?;
        let octets: [u8; 14] = random_octets()?;
        Ok(match kind {
            CertificateKind::CardAuth | CertificateKind::PhoneAuth => {
                CommonName::authentication(&issue::holder_number(&octets), municipality, window)?
            }
            _ => {
                let [a, b, c, d, ..] = octets;
                CommonName::signing(now, u32::from_be_bytes([a, b, c, d]) % 100_000, municipality, window)?
            }
        })
    }

    fn issued_pair(&self, outcome: &Outcome) -> Result<IssuedPair, OfficeError> {
        let of_entry = |numbered: &Numbered| match &numbered.entry.event {
            Event::Issued(issued) => Some(issued.clone()),
            _ => None,
        };
        let certificates = outcome.entries.iter().filter_map(of_entry).map(|issued| {
            Ok::<_, OfficeError>(IssuedCertificate {
                authority: self.authority_name(issued.certificate.authority),
                der: archived_certificate(&self.store, &issued)?,
                issued,
            })
        });
        Ok(IssuedPair {
            certificates: certificates.collect::<Result<_, _>>()?,
            position: outcome.position,
            recorded_at: outcome.recorded_at,
            repeated: outcome.repeated,
        })
    }
}

impl Granted {
    /// What one of its certificates is written from, and compared with.
    fn resident<'a>(
        &'a self,
        profile: &'a Profile,
        one: &'a Planned,
        serial: SerialNumber,
        key: &'a SubjectKey,
    ) -> Resident<'a> {
        Resident {
            profile,
            issuer: &one.live.issuer,
            kind: one.kind,
            serial,
            algorithm: one.algorithm,
            validity: one.validity,
            common_name: &one.common_name,
            applicant: &self.applicant,
            key,
            ocsp_url: &self.ocsp_url,
        }
    }
}

impl Place {
    pub(super) const fn occasion(self) -> Occasion {
        match self {
            Self::Renewed(_) => Occasion::Renewal,
            Self::New | Self::Card(_) | Self::Phone { .. } => Occasion::First,
        }
    }

    /// The card that must be known.
    pub(super) const fn card(self) -> Option<CardId> {
        match self {
            Self::New => None,
            Self::Card(card) | Self::Renewed(card) | Self::Phone { with: card } => Some(card),
        }
    }
}

fn phone_kinds(kinds: &[CertificateKind]) -> Result<(), OfficeError> {
    match kinds.iter().find(|kind| !Carrier::Phone.kinds().contains(kind)) {
        Some(kind) => Err(OfficeError::Kinds(format!("{kind} on a phone"))),
        None => Ok(()),
    }
}

fn applicant(application: &Application, now: UnixTime) -> Result<Applicant, IssueError> {
    let Spelling { former_surname, name_substitutes, address_substitutes } = &application.spelling;
    Ok(Applicant {
        name: HolderName::new(&application.name, former_surname.as_deref(), name_substitutes.as_deref())?,
        birth: BirthDate::parse(&application.birth, now)?,
        sex: application.sex.parse::<Sex>()?,
        address: Address::new(&application.address, address_substitutes.as_deref())?,
    })
}

/// One kind, or the two of a card or phone, signing first.
fn kinds(asked: &[CertificateKind]) -> Result<Vec<CertificateKind>, OfficeError> {
    use CertificateKind::{CardAuth, CardSign, PhoneAuth, PhoneSign};
    let mut kinds = asked.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.as_slice() {
        [CardSign | CardAuth | PhoneSign | PhoneAuth] | [CardSign, CardAuth] | [PhoneSign, PhoneAuth] => {
            Ok(kinds)
        }
        _ => {
            let names: Vec<&str> = asked.iter().map(|kind| kind.name()).collect();
            Err(OfficeError::Kinds(names.join(",")))
        }
    }
}

pub(super) fn random() -> Result<u128, OfficeError> {
    Ok(u128::from_be_bytes(random_octets()?))
}

fn random_octets<const N: usize>() -> Result<[u8; N], OfficeError> {
    let mut octets = [0; N];
    let failed = |_| OfficeError::Damaged("the system gives no random numbers".to_owned());
    SystemRandom::new().fill(&mut octets).map_err(failed)?;
    Ok(octets)
}

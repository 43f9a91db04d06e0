//! Authorities, records and sets to make CRLs of.

use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose};
use sekisho::crl::{
    Audit, Audited, CrlFacts, CrlNumber, Entries, Expected, GateError, Layout, Previous, Scope, Selection,
    SetPlan, gate, tbs_cert_list,
};
use sekisho::der::UnixTime;
use sekisho::pki::{
    Attribute, AuthorityId, CertStatus, CertificateKind, Generation, Issuer, Name, Partition, Revocation,
    RevocationReason, SerialNumber, oid,
};
use sekisho::record::{ArchivePlace, CertificateRef, Change, Epoch, Issued, Position, Record};
use sekisho::signer::Key;

pub const AUTHORITY: AuthorityId = AuthorityId(1);
pub const KIYOSE: Partition = Partition(13221);
pub const ESASHI: Partition = Partition(1361);

/// One generation of the authority. All share one DN.
pub struct Ca {
    pub params: CertificateParams,
    pub pair: KeyPair,
    pub key: Key,
    pub issuer: Issuer,
}

/// The first three keys of the authority: RSA, RSA, P-256.
pub fn ca(generation: usize) -> &'static Ca {
    static CAS: OnceLock<Vec<Ca>> = OnceLock::new();
    let rsa = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let p256 = || KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let make = || vec![new_ca(1, rsa()), new_ca(2, rsa()), new_ca(3, p256())];
    &CAS.get_or_init(make)[generation - 1]
}

fn new_ca(generation: u8, pair: KeyPair) -> Ca {
    let key = Key::from_pkcs8(&pair.serialize_der()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "JP");
    params.distinguished_name.push(DnType::OrganizationName, "SEKISHO-TEST");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "JPKI for digital signature");
    params.serial_number = Some(rcgen::SerialNumber::from(u64::from(generation)));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.key_id().to_vec());
    params.not_before = time("2020-01-01T00:00:00Z").date_time();
    params.not_after = time("2060-01-01T00:00:00Z").date_time();
    let certificate = params.self_signed(&pair).unwrap();
    let generation = Generation::new(generation).unwrap();
    let issuer = Issuer::from_certificate(AUTHORITY, generation, certificate.der()).unwrap();
    Ca { params, pair, key, issuer }
}

pub fn time(text: &str) -> UnixTime {
    text.parse().unwrap()
}

/// The set of 23 November 2026, 00:00 in Japan, of everything up to position 1,000.
pub fn plan() -> SetPlan {
    SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(1000)),
        position: Position(1000),
        this_update: time("2026-11-22T15:00:00Z"),
        next_update: time("2026-11-24T15:00:00Z"),
        scheduled: true,
        last_scheduled: Some(time("2026-11-21T15:00:00Z")),
    }
}

pub fn distribution_point(place: &str) -> Name {
    Name::new(&[
        Attribute::new(oid::COUNTRY_NAME, "JP"),
        Attribute::new(oid::ORGANIZATION_NAME, "SEKISHO-TEST"),
        Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, "JPKI for digital signature"),
        Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, "CRL Distribution Points"),
        Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, "Tokyo-to"),
        Attribute::new(oid::COMMON_NAME, format!("{place} CRLDP")),
    ])
}

pub fn kiyose() -> Scope<'static> {
    static NAME: OnceLock<Name> = OnceLock::new();
    let distribution_point = NAME.get_or_init(|| distribution_point("Kiyose-shi"));
    Scope::Partition { partition: KIYOSE, distribution_point }
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

/// A certificate of the first generation, issued at position `number` or 500, until 2030.
pub fn issued(number: u64, kind: CertificateKind, partition: Option<Partition>) -> Record {
    Record {
        position: Position(number.min(500)),
        recorded_at: time("2026-01-01T00:00:00Z"),
        issued: Issued {
            certificate: CertificateRef {
                authority: AUTHORITY,
                generation: Generation::FIRST,
                serial: serial(number),
            },
            kind,
            partition,
            not_before: time("2026-01-01T00:00:00Z"),
            not_after: time("2030-01-01T00:00:00Z"),
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        },
        changes: Vec::new(),
    }
}

pub fn resident(number: u64, partition: Partition) -> Record {
    issued(number, CertificateKind::CardSign, Some(partition))
}

pub fn revocation(reason: RevocationReason) -> Revocation {
    Revocation { revoked_at: time("2026-11-22T10:00:00Z"), reason, invalidity_date: None }
}

/// `record` with one more change of status.
pub fn changed(mut record: Record, position: u64, status: CertStatus) -> Record {
    let recorded_at = match status {
        CertStatus::Revoked(revocation) => revocation.revoked_at,
        CertStatus::Good | CertStatus::Unknown => time("2026-11-22T11:00:00Z"),
    };
    record.changes.push(Change { position: Position(position), recorded_at, status, cause: None });
    record
}

pub fn revoked(record: Record, reason: RevocationReason) -> Record {
    changed(record, 900, CertStatus::Revoked(revocation(reason)))
}

/// A little of everything, in the order of the serials.
pub fn records() -> Vec<Record> {
    use RevocationReason as Reason;
    let mut with_invalidity = revocation(Reason::KeyCompromise);
    with_invalidity.invalidity_date = Some(time("2026-11-20T00:00:00Z"));
    vec![
        revoked(issued(1, CertificateKind::Ca, None), Reason::CaCompromise),
        issued(2, CertificateKind::Ca, None),
        revoked(issued(3, CertificateKind::OcspSigner, None), Reason::Superseded),
        revoked(resident(10, KIYOSE), Reason::AffiliationChanged),
        revoked(resident(11, ESASHI), Reason::Unspecified),
        resident(12, KIYOSE),
        changed(resident(13, KIYOSE), 900, CertStatus::Revoked(with_invalidity)),
        revoked(resident(0x1234_5678, KIYOSE), Reason::CertificateHold),
    ]
}

pub fn entries(selection: Selection, records: &[Record]) -> Entries {
    let mut layout = Layout::new(AUTHORITY, selection);
    records.iter().for_each(|record| layout.add(record));
    let mut encoder = layout.begin();
    records.iter().for_each(|record| encoder.add(record).unwrap());
    encoder.finish().unwrap()
}

pub fn crl(ca: &Ca, scope: Scope<'_>, plan: &SetPlan, records: &[Record]) -> Vec<u8> {
    selected(ca, scope, Selection::complete(*plan), records)
}

/// The CRL of what `selection` lists.
pub fn selected(ca: &Ca, scope: Scope<'_>, selection: Selection, records: &[Record]) -> Vec<u8> {
    let entries = entries(selection, records).of(scope);
    let tbs = tbs_cert_list(&ca.issuer, ca.key.algorithm(), scope, selection.plan(), entries);
    tbs.sign(&ca.key).unwrap().der().to_vec()
}

/// What the records are found to say of `bytes`, after the set of `previous`.
pub fn audited(
    scope: Scope<'_>,
    selection: Selection,
    previous: Option<SetPlan>,
    records: &[Record],
    bytes: &[u8],
) -> Result<Audited, GateError> {
    let mut audit = Audit::begin(bytes, AUTHORITY, scope, selection, previous)?;
    records.iter().for_each(|record| audit.add(record));
    audit.finish()
}

/// What the gate says of `bytes` as the CRL of `scope`, with nothing published before.
pub fn gated(
    ca: &Ca,
    scope: Scope<'_>,
    plan: &SetPlan,
    records: &[Record],
    bytes: &[u8],
) -> Result<CrlFacts, GateError> {
    let audited = audited(scope, Selection::complete(*plan), None, records, bytes)?;
    gate(bytes, &ca.issuer, &Expected { plan, scope, previous: Previous::First }, &audited)
}

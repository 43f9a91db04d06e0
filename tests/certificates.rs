//! Certificates beside the real ones: their structure row by row, and where we know what went
//! into a real certificate, every octet of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may fail by panicking"
)]

#[path = "certificates/real.rs"]
mod real;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use sekisho::der::{Oid, Reader, UnixTime, tag};
use sekisho::issue::{
    Address, Applicant, BirthDate, CaCertificate, CommonName, HolderName, IssueError, OcspSigner, OcspUrl,
    RefusedKey, Resident, Sex, SubjectKey, SubjectKeyError, TestKeys, Validity, assemble, generate_key,
    test_material,
};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, Issuer, Partition, SerialNumber, SignatureAlgorithm,
};
use sekisho::profile::{Extension, KeyType, NoResidence, ORGANIZATION, Profile};
use sekisho::signer::Key;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const SIGN: AuthorityId = AuthorityId(1);
const AUTH: AuthorityId = AuthorityId(2);
const KIYOSE: Partition = Partition(13221);
const RESIDENT_KINDS: [CertificateKind; 4] = [
    CertificateKind::CardSign,
    CertificateKind::CardAuth,
    CertificateKind::PhoneSign,
    CertificateKind::PhoneAuth,
];

fn time(text: &str) -> UnixTime {
    text.parse().unwrap()
}

fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

// Ours.

/// Our test authorities and everything a certificate needs.
struct World {
    profile: Profile,
    keys: TestKeys,
    applicant: Applicant,
    ocsp_url: OcspUrl,
}

/// A certificate with the key that signed it.
struct Certified {
    certificate: Vec<u8>,
    ca: Vec<u8>,
}

const NOW: &str = "2026-11-22T10:00:00Z";

fn world() -> World {
    World {
        profile: Profile::jpki(ORGANIZATION).unwrap(),
        keys: TestKeys::load().unwrap(),
        applicant: Applicant {
            name: HolderName::new("関　守", Some("番場"), None).unwrap(),
            birth: BirthDate::parse("1990-06-15", time(NOW)).unwrap(),
            sex: Sex::Female,
            address: Address::new("東京都清瀬市中里五丁目８４２番地", Some("0000000000000001")).unwrap(),
        },
        ocsp_url: "http://ocsp.sekisho.example".parse().unwrap(),
    }
}

fn authority(id: AuthorityId) -> (Issuer, Key) {
    let name = if id == SIGN { "sign" } else { "auth" };
    let (certificate, key) = test_material::authority(name).unwrap();
    (Issuer::from_certificate(id, Generation::FIRST, &certificate).unwrap(), Key::from_pkcs8(&key).unwrap())
}

impl World {
    fn issuer_of(&self, kind: CertificateKind) -> (Issuer, Key) {
        authority(self.profile.authority_of(kind).unwrap().id)
    }

    fn common_name(&self, kind: CertificateKind, code: Partition) -> CommonName {
        let window = "003A".parse().unwrap();
        match kind {
            CertificateKind::CardSign | CertificateKind::PhoneSign => {
                CommonName::signing(time(NOW), 7, code, window).unwrap()
            }
            _ => CommonName::authentication("0123456789ABCD", code, window).unwrap(),
        }
    }

    /// A request that is granted.
    fn request<'a>(
        &'a self,
        kind: CertificateKind,
        issuer: &'a Issuer,
        common_name: &'a CommonName,
    ) -> Resident<'a> {
        Resident {
            profile: &self.profile,
            issuer,
            kind,
            serial: serial(0x1234),
            algorithm: SignatureAlgorithm::RsaSha256,
            validity: until(time("2031-06-15T14:59:59Z")),
            common_name,
            applicant: &self.applicant,
            key: &self.keys.nth(0).public,
            ocsp_url: &self.ocsp_url,
        }
    }

    fn certified(&self, kind: CertificateKind) -> Certified {
        let (issuer, key) = self.issuer_of(kind);
        let common_name = self.common_name(kind, KIYOSE);
        let tbs = self.request(kind, &issuer, &common_name).tbs().unwrap();
        Certified { certificate: signed(&tbs, &key), ca: issuer.certificate }
    }
}

fn until(not_after: UnixTime) -> Validity {
    Validity::new(time(NOW), not_after).unwrap()
}

fn signed(tbs: &[u8], key: &Key) -> Vec<u8> {
    assemble(tbs, key.algorithm(), &key.sign(tbs).unwrap())
}

/// Depth, tag and, for object identifiers, the arcs of every value; an extension's value is
/// entered.
fn rows(der: &[u8]) -> String {
    let mut out = String::new();
    walk(der, 0, &mut out);
    out
}

fn walk(der: &[u8], depth: usize, out: &mut String) {
    let mut reader = Reader::new(der);
    while !reader.is_empty() {
        let element = reader.element().unwrap();
        out.push_str(&format!("{depth} {:02x}", element.tag));
        if element.tag == tag::OID {
            out.push_str(&format!(" {}", arcs(element.content)));
        }
        out.push('\n');
        if element.tag & 0x20 != 0 || (element.tag == tag::OCTET_STRING && depth == 5) {
            walk(element.content, depth + 1, out);
        }
    }
}

fn arcs(content: &[u8]) -> String {
    let mut arcs = vec![];
    let mut value = 0;
    for octet in content {
        value = value << 7 | u32::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            arcs.push(value);
            value = 0;
        }
    }
    let root = (arcs[0] / 40).min(2);
    let arcs: Vec<u32> = [root, arcs[0] - root * 40].into_iter().chain(arcs[1..].iter().copied()).collect();
    let text = Oid::new(&arcs).to_string();
    assert_eq!(Oid::new(&arcs).content(), content);
    text
}

#[test]
fn resident_certificates_have_the_rows_of_the_real_ones() {
    let world = world();
    for kind in RESIDENT_KINDS {
        let real = match kind {
            CertificateKind::CardSign | CertificateKind::PhoneSign => include_str!("certificates/sign.txt"),
            _ => include_str!("certificates/auth.txt"),
        };
        assert_eq!(rows(&world.certified(kind).certificate), real, "{kind}");
    }
}

#[test]
fn ca_certificates_have_the_rows_of_the_real_ones() {
    for id in [SIGN, AUTH] {
        assert_eq!(rows(&authority(id).0.certificate), include_str!("certificates/ca.txt"));
    }
}

#[test]
fn rfc5280_s4_2_1_13_the_distribution_point_is_the_one_the_crl_is_published_under() {
    let world = world();
    for kind in RESIDENT_KINDS {
        let (issuer, _) = world.issuer_of(kind);
        for code in [Partition(1361), Partition(1514), Partition(1101), KIYOSE] {
            let name = world.profile.distribution_point(issuer.authority, code).unwrap();
            let common_name = world.common_name(kind, code);
            let prefecture = &world.profile.municipalities.find(code).unwrap().prefecture;
            let mut applicant = world.applicant.clone();
            applicant.address = Address::new(&format!("{prefecture}某所"), None).unwrap();
            let request = world.request(kind, &issuer, &common_name);
            let tbs = Resident { applicant: &applicant, ..request }.tbs().unwrap();
            let found = tbs.windows(name.der().len()).filter(|window| *window == name.der()).count();
            assert_eq!(found, 1, "{kind} {code}");
        }
    }
}

#[test]
fn only_signing_certificates_tell_who_holds_them_and_only_authentication_where_ocsp_is() {
    let world = world();
    for kind in RESIDENT_KINDS {
        let certificate = world.certified(kind).certificate;
        let holds = |text: &str| certificate.windows(text.len()).any(|window| window == text.as_bytes());
        let signing = matches!(kind, CertificateKind::CardSign | CertificateKind::PhoneSign);
        for text in ["関［番場］　守", "419900615", "東京都清瀬市中里五丁目８４２番地", "0000000000000001"]
        {
            assert_eq!(holds(text), signing, "{kind} {text}");
        }
        assert_eq!(holds("http://ocsp.sekisho.example"), !signing, "{kind}");
        assert!(holds("Kiyose-shi CRLDP"), "{kind}");
    }
}

/// The type and text of each otherName, read by a parser that is not ours.
fn other_names(certificate: &[u8]) -> Vec<(String, String)> {
    let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
    let san = certificate.subject_alternative_name().unwrap().unwrap();
    let read = |name: &GeneralName<'_>| {
        let GeneralName::OtherName(type_id, value) = name else { panic!("{name}") };
        let (rest, explicit) = Any::from_der(value).unwrap();
        assert!(rest.is_empty() && explicit.header.raw_tag() == Some(&[0xa0]));
        let (rest, text) = Any::from_der(explicit.data).unwrap();
        assert!(rest.is_empty());
        (type_id.to_id_string(), text.as_utf8string().unwrap().string())
    };
    san.value.general_names.iter().map(read).collect()
}

#[test]
fn a_signing_certificate_states_former_surname_flags_and_what_is_known_of_a_birth() {
    let mut world = world();
    for (born, code) in
        [("1990-06-15", "419900615"), ("1948-07-00", "019480700"), ("1948-00-00", "019480000")]
    {
        world.applicant.name = HolderName::new("関　守", Some("番場"), Some("1000000")).unwrap();
        world.applicant.birth = BirthDate::parse(born, time(NOW)).unwrap();
        let wanted = [
            ("1", "関［番場］　守"),
            ("4", code),
            ("3", "2"),
            ("5", "東京都清瀬市中里五丁目８４２番地"),
            ("2", "1000000"),
            ("6", "0000000000000001"),
        ];
        let wanted = wanted.map(|(arc, text)| (format!("1.2.392.200149.8.5.5.{arc}"), text.to_owned()));
        assert_eq!(other_names(&world.certified(CertificateKind::CardSign).certificate), wanted);
    }
}

#[test]
fn a_serial_of_20_octets_and_one_with_its_top_bit_set_are_written() {
    let world = world();
    let (issuer, key) = authority(SIGN);
    let common_name = world.common_name(CertificateKind::CardSign, KIYOSE);
    let long = SerialNumber::from_magnitude(&[0x7f; 20]).unwrap();
    for serial in [long, serial(0x80), serial(1)] {
        let request = world.request(CertificateKind::CardSign, &issuer, &common_name);
        let certificate = signed(&Resident { serial, ..request }.tbs().unwrap(), &key);
        let read = Issuer::from_certificate(SIGN, Generation::FIRST, &certificate).unwrap();
        assert_eq!(read.serial, serial);
    }
}

// The gate.

/// Every field of an order, changed after the certificate was made: as if the writer had got it wrong.
#[test]
fn b_7_a_certificate_is_read_back_and_compared_with_every_field_of_its_order() {
    let world = world();
    let others = Applicant { sex: Sex::Male, ..world.applicant.clone() };
    for kind in RESIDENT_KINDS {
        let signing = matches!(kind, CertificateKind::CardSign | CertificateKind::PhoneSign);
        let (issuer, key) = world.issuer_of(kind);
        let common_name = world.common_name(kind, KIYOSE);
        let order = || world.request(kind, &issuer, &common_name);
        let made = signed(&order().tbs().unwrap(), &key);
        assert_eq!(order().confirm(&made), Ok(()), "{kind}");

        let differs = |order: Resident<'_>, field| {
            assert_eq!(order.confirm(&made).unwrap_err().0, field, "{kind}");
        };
        differs(Resident { serial: serial(0x1235), ..order() }, "serial number");
        differs(Resident { key: &world.keys.nth(1).public, ..order() }, "public key");
        differs(Resident { validity: until(time("2031-06-15T14:59:58Z")), ..order() }, "validity");
        let elsewhere = world.common_name(kind, Partition(13222));
        differs(Resident { common_name: &elsewhere, ..order() }, "subject");
        let mut other_points = world.profile.clone();
        other_points.authorities.iter_mut().for_each(|authority| authority.base.truncate(2));
        differs(Resident { profile: &other_points, ..order() }, "cRLDistributionPoints");
        let mut longer = world.profile.clone();
        let profile = longer.certificates.iter_mut().find(|one| one.kind == kind).unwrap();
        profile.extensions.pop();
        differs(Resident { profile: &longer, ..order() }, "number of extensions");
        let mut other_use = world.profile.clone();
        let profile = other_use.certificates.iter_mut().find(|one| one.kind == kind).unwrap();
        profile.extensions[0] = Extension::KeyUsage(0x0600);
        differs(Resident { profile: &other_use, ..order() }, "keyUsage");
        let mut stranger = issuer.clone();
        stranger.spki = world.keys.nth(2).public.spki().to_vec();
        differs(Resident { issuer: &stranger, ..order() }, "signature");
        let mut unnamed = issuer.clone();
        unnamed.key_id[0] ^= 1;
        differs(Resident { issuer: &unnamed, ..order() }, "authorityKeyIdentifier");
        if signing {
            differs(Resident { applicant: &others, ..order() }, "subjectAltName");
        } else {
            let url = "http://other.sekisho.example".parse().unwrap();
            differs(Resident { ocsp_url: &url, ..order() }, "authorityInfoAccess");
        }
    }
}

#[test]
fn b_7_no_octet_of_a_certificate_changes_unseen_and_none_comes_after_it() {
    let world = world();
    for kind in RESIDENT_KINDS {
        let (issuer, key) = world.issuer_of(kind);
        let common_name = world.common_name(kind, KIYOSE);
        let order = world.request(kind, &issuer, &common_name);
        let made = signed(&order.tbs().unwrap(), &key);
        for at in 0..made.len() {
            let mut bad = made.clone();
            bad[at] ^= 1;
            assert!(order.confirm(&bad).is_err(), "{kind} octet {at} of {:02x?}", &made[at - 8..]);
        }
        assert!(order.confirm(&made[..made.len() - 1]).is_err());
        assert!(order.confirm(&[&made[..], &[0]].concat()).is_err());
        assert!(order.confirm(&[]).is_err());
        // Of an authority instead of a resident.
        assert!(order.confirm(&issuer.certificate).is_err());
    }
}

#[test]
fn c_2_an_address_overseas_stands_in_the_certificate_as_the_profile_has_it() {
    let mut world = world();
    for address in ["国外転出", "国外転出　令和８年１１月３０日"] {
        world.applicant.address = Address::new(address, None).unwrap();
        for kind in RESIDENT_KINDS {
            let (issuer, _) = world.issuer_of(kind);
            let common_name = world.common_name(kind, KIYOSE);
            let made = world.certified(kind).certificate;
            assert_eq!(world.request(kind, &issuer, &common_name).confirm(&made), Ok(()), "{kind}");
            let holds = |text: &str| made.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(holds("Kiyose-shi CRLDP"), "the partition is that of the last municipality");
            if matches!(kind, CertificateKind::CardSign | CertificateKind::PhoneSign) {
                assert_eq!(other_names(&made)[3].1, address);
            }
        }
    }
    // The words are the profile's.
    world.profile.overseas_address = "Overseas".to_owned();
    let (issuer, _) = authority(SIGN);
    let common_name = world.common_name(CertificateKind::CardSign, KIYOSE);
    let refused = world.request(CertificateKind::CardSign, &issuer, &common_name).tbs().unwrap_err();
    assert!(matches!(refused, IssueError::AddressPrefecture { .. }), "{refused}");
}

// Refusals.

#[test]
fn nobody_under_15_gets_a_signing_certificate() {
    let world = world();
    let kind = CertificateKind::CardSign;
    for (born, refusal) in [
        ("2011-11-22", None),
        ("2011-11-23", Some(IssueError::TooYoung { kind, age_min: 15 })),
        ("2012-00-00", Some(IssueError::TooYoung { kind, age_min: 15 })),
        // Who may be 15, and who may be of any age: nobody can say that they are not younger.
        ("2011-00-00", Some(IssueError::AgeNotShown { kind, age_min: 15 })),
        ("2011-11-00", Some(IssueError::AgeNotShown { kind, age_min: 15 })),
        ("unknown", Some(IssueError::AgeNotShown { kind, age_min: 15 })),
        ("2011-10-00", None),
        ("2010-00-00", None),
    ] {
        let mut applicant = world.applicant.clone();
        applicant.birth = BirthDate::parse(born, time(NOW)).unwrap();
        for of in RESIDENT_KINDS {
            let signing = matches!(of, CertificateKind::CardSign | CertificateKind::PhoneSign);
            let (issuer, _) = world.issuer_of(of);
            let common_name = world.common_name(of, KIYOSE);
            let request = world.request(of, &issuer, &common_name);
            let refused = Resident { applicant: &applicant, ..request }.tbs().err();
            let of_kind = |refusal: &IssueError| match refusal {
                IssueError::TooYoung { age_min, .. } => IssueError::TooYoung { kind: of, age_min: *age_min },
                _ => IssueError::AgeNotShown { kind: of, age_min: 15 },
            };
            assert_eq!(refused, refusal.as_ref().filter(|_| signing).map(of_kind), "{of} {born}");
        }
    }
}

#[test]
fn a_certificate_never_outlives_its_issuer() {
    let world = world();
    let (issuer, _) = authority(SIGN);
    let common_name = world.common_name(CertificateKind::CardSign, KIYOSE);
    let ending = |not_after| {
        let request = world.request(CertificateKind::CardSign, &issuer, &common_name);
        Resident { validity: until(not_after), ..request }.tbs()
    };
    assert!(ending(issuer.not_after).is_ok());
    assert_eq!(
        ending(issuer.not_after.plus(Duration::from_secs(1))).unwrap_err(),
        IssueError::OutlivesIssuer { issuer_not_after: issuer.not_after }
    );
    assert_eq!(
        Validity::new(time(NOW), time(NOW)).unwrap_err(),
        IssueError::AlreadyOver { not_after: time(NOW) }
    );
}

#[test]
fn kind_issuer_and_common_name_must_fit() {
    let world = world();
    let kind = CertificateKind::CardSign;
    let (issuer, _) = authority(SIGN);
    let good = world.common_name(kind, KIYOSE);
    let request = || world.request(kind, &issuer, &good);
    assert!(request().tbs().is_ok());
    for (kind, refusal) in [
        (CertificateKind::CardAuth, IssueError::WrongAuthority(CertificateKind::CardAuth)),
        (CertificateKind::Ca, IssueError::Profile(CertificateKind::Ca)),
        (CertificateKind::OcspSigner, IssueError::Profile(CertificateKind::OcspSigner)),
    ] {
        assert_eq!(Resident { kind, ..request() }.tbs(), Err(refusal));
    }
    let elsewhere = Profile::jpki("OTHER-TEST").unwrap();
    assert_eq!(Resident { profile: &elsewhere, ..request() }.tbs(), Err(IssueError::WrongIssuer));
    let of_auth = world.common_name(CertificateKind::CardAuth, KIYOSE);
    assert_eq!(Resident { common_name: &of_auth, ..request() }.tbs(), Err(IssueError::CommonName(kind)));
    let nowhere = world.common_name(kind, Partition(99_999));
    assert_eq!(
        Resident { common_name: &nowhere, ..request() }.tbs(),
        Err(NoResidence::Unknown(Partition(99_999)).into())
    );
    let mut next_card = world.profile.clone();
    next_card.keys = vec![KeyType::P384];
    assert_eq!(
        Resident { profile: &next_card, ..request() }.tbs(),
        Err(IssueError::Key(SubjectKeyError::Kind(RefusedKey::Rsa(2048))))
    );
}

#[test]
fn a_profile_that_asks_for_what_a_kind_cannot_have_is_refused() {
    let world = world();
    let (issuer, ca) = authority(AUTH);
    let mut profile = world.profile.clone();
    for certificate in &mut profile.certificates {
        certificate.extensions.push(Extension::AuthorityInfoAccess);
    }
    let key = &world.keys.nth(0).public;
    let validity = until(issuer.not_after);
    let algorithm = ca.algorithm();
    let signer = OcspSigner {
        profile: &profile,
        issuer: &issuer,
        serial: serial(1),
        algorithm,
        validity,
        number: 1,
        key,
    };
    assert_eq!(signer.tbs(), Err(IssueError::Profile(CertificateKind::OcspSigner)));
    let generation =
        CaCertificate { profile: &profile, authority: AUTH, serial: serial(1), algorithm, validity, key };
    assert_eq!(generation.tbs(), Err(IssueError::Profile(CertificateKind::Ca)));
    let good = CaCertificate { profile: &world.profile, ..generation };
    assert!(good.tbs().is_ok());
    assert!(CaCertificate { authority: AuthorityId(3), ..good }.tbs().is_err());
}

#[test]
fn an_address_elsewhere_is_refused_and_no_refusal_repeats_it() {
    let world = world();
    let mut applicant = world.applicant.clone();
    applicant.address = Address::new("北海道札幌市某所", None).unwrap();
    let (issuer, _) = authority(SIGN);
    let common_name = world.common_name(CertificateKind::CardSign, KIYOSE);
    let request =
        Resident { applicant: &applicant, ..world.request(CertificateKind::CardSign, &issuer, &common_name) };
    let refusal = request.tbs().unwrap_err();
    let told = format!("{refusal} {request:?}");
    for secret in ["某所", "番場", "1990"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(
        refusal,
        IssueError::AddressPrefecture {
            prefecture: "東京都".to_owned(),
            overseas: "国外転出".to_owned(),
            code: KIYOSE
        }
    );
}

// The OCSP signer.

#[test]
fn rfc6960_s4_2_2_2_the_signer_is_short_lived_and_backdated() {
    let (issuer, _) = authority(AUTH);
    let week = Duration::from_secs(7 * 86_400);
    let validity = OcspSigner::validity(&issuer, time(NOW), week).unwrap();
    assert_eq!(validity.not_before(), time("2026-11-22T09:00:00Z"));
    assert_eq!(validity.not_after(), time("2026-11-29T10:00:00Z"));
    let last_day = issuer.not_after.minus(Duration::from_secs(86_400));
    assert_eq!(OcspSigner::validity(&issuer, last_day, week).unwrap().not_after(), issuer.not_after);
    for (now, lifetime) in [(issuer.not_after, week), (time(NOW), Duration::ZERO)] {
        assert!(matches!(OcspSigner::validity(&issuer, now, lifetime), Err(IssueError::AlreadyOver { .. })));
    }
}

fn ocsp_signer(key: &SubjectKey) -> Certified {
    let world = world();
    let (issuer, ca) = authority(AUTH);
    let tbs = OcspSigner {
        profile: &world.profile,
        issuer: &issuer,
        serial: serial(0x99),
        algorithm: ca.algorithm(),
        validity: OcspSigner::validity(&issuer, time(NOW), Duration::from_secs(604_800)).unwrap(),
        number: 3,
        key,
    }
    .tbs()
    .unwrap();
    Certified { certificate: signed(&tbs, &ca), ca: issuer.certificate }
}

#[test]
fn rfc6960_s4_2_2_2_1_the_signer_has_exactly_its_five_extensions() {
    let key = SubjectKey::from_spki(Key::from_pkcs8(&generate_key(KeyType::P256).unwrap()).unwrap().spki());
    let certificate = ocsp_signer(&key.unwrap()).certificate;
    let rows = rows(&certificate);
    let extensions: Vec<&str> = rows
        .lines()
        .filter_map(|row| row.strip_prefix("5 06 "))
        .skip_while(|oid| oid.starts_with("2.5.4."))
        .collect();
    assert_eq!(extensions, ["2.5.29.15", "2.5.29.37", "1.3.6.1.5.5.7.48.1.5", "2.5.29.35", "2.5.29.14"]);
    let aki: Vec<&str> = rows.lines().skip_while(|row| *row != "5 06 2.5.29.35").skip(1).take(3).collect();
    assert_eq!(aki, ["5 04", "6 30", "7 80"], "the key identifier and nothing else");
    assert!(rows.contains("5 06 1.3.6.1.5.5.7.48.1.5\n5 04\n6 05\n"), "nocheck is NULL");
    let read = Issuer::from_certificate(AUTH, Generation::FIRST, &certificate).unwrap();
    assert_ne!(read.name, authority(AUTH).0.name);
}

// OpenSSL as a judge.

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().expect("install openssl");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn pem(directory: &Path, name: &str, der: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What `openssl verify` says at [`NOW`] when it trusts `trusted` and is strict.
fn verify(directory: &Path, trusted: &str, purpose: &str, certificate: &[u8]) -> (bool, String) {
    let at = (time(NOW).seconds() + 1).to_string();
    let leaf = pem(directory, "leaf.pem", certificate);
    openssl(&["verify", "-attime", &at, "-check_ss_sig", "-purpose", purpose, "-CAfile", trusted, &leaf])
}

#[test]
fn openssl_accepts_resident_certificates_and_no_altered_one() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    for kind in RESIDENT_KINDS {
        let made = world.certified(kind);
        let ca = pem(directory.path(), "ca.pem", &made.ca);
        let purpose = match kind {
            CertificateKind::CardAuth | CertificateKind::PhoneAuth => "sslclient",
            _ => "smimesign",
        };
        let (accepted, said) = verify(directory.path(), &ca, purpose, &made.certificate);
        assert!(accepted, "{kind}: {said}");
        let mut altered = made.certificate.clone();
        let at = altered.windows(10).position(|window| window == b"Kiyose-shi").unwrap();
        altered[at] ^= 1;
        assert!(!verify(directory.path(), &ca, purpose, &altered).0, "{kind}");
    }
}

#[test]
fn openssl_reads_in_them_what_stands_in_the_real_ones() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let text = |kind| {
        let path = pem(directory.path(), "text.pem", &world.certified(kind).certificate);
        openssl(&["x509", "-noout", "-text", "-nameopt", "RFC2253", "-in", &path]).1
    };
    let signing = text(CertificateKind::CardSign);
    for line in [
        "Subject: CN=202611221900000000713221003A,L=Kiyose-shi,L=Tokyo-to,C=JP",
        "Digital Signature, Non Repudiation",
        "Policy: 1.2.392.200149.8.5.1.0.20",
        "CPS: http://sekisho.example/cps.html",
        "Not After : Jun 15 14:59:59 2031 GMT",
    ] {
        assert!(signing.contains(line), "{line} in {signing}");
    }
    assert!(!signing.contains("OCSP - URI"));
    let authentication = text(CertificateKind::PhoneAuth);
    for line in [
        "Subject: CN=0123456789ABCD13221003A,C=JP",
        "TLS Web Client Authentication",
        "Policy: 1.2.392.200149.8.5.1.0.30",
        "OCSP - URI:http://ocsp.sekisho.example\n",
    ] {
        assert!(authentication.contains(line), "{line} in {authentication}");
    }
    assert!(!authentication.contains("othername"));
}

#[test]
fn openssl_accepts_the_ocsp_signer_for_ocsp_and_for_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let key = SubjectKey::from_spki(Key::from_pkcs8(&generate_key(KeyType::P256).unwrap()).unwrap().spki());
    let made = ocsp_signer(&key.unwrap());
    let ca = pem(directory.path(), "ca.pem", &made.ca);
    let (accepted, said) = verify(directory.path(), &ca, "ocsphelper", &made.certificate);
    assert!(accepted, "{said}");
    assert!(!verify(directory.path(), &ca, "sslclient", &made.certificate).0);
    let path = pem(directory.path(), "text.pem", &made.certificate);
    let (_, text) = openssl(&["x509", "-noout", "-text", "-nameopt", "RFC2253", "-in", &path]);
    for line in [
        "Subject: CN=OCSP signer 3,OU=JPKI for user authentication,O=SEKISHO-TEST,C=JP",
        "OCSP Signing",
        "OCSP No Check",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn among_generations_of_one_name_openssl_finds_the_issuer_by_its_key() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let second = Key::from_pkcs8(&world.keys.nth(5).pkcs8).unwrap();
    let (first, _) = authority(SIGN);
    let tbs = CaCertificate {
        profile: &world.profile,
        authority: SIGN,
        serial: serial(500),
        algorithm: second.algorithm(),
        validity: Validity::of_ca(time("2026-11-01T00:00:00Z"), world.profile.ca_years).unwrap(),
        key: &SubjectKey::from_spki(second.spki()).unwrap(),
    }
    .tbs()
    .unwrap();
    let second_certificate = signed(&tbs, &second);
    let issuer = Issuer::from_certificate(SIGN, Generation::new(2).unwrap(), &second_certificate).unwrap();
    assert_eq!(issuer.name, first.name);
    let both = directory.path().join("both.pem");
    let one = pem::Pem::new("CERTIFICATE", first.certificate.clone());
    let two = pem::Pem::new("CERTIFICATE", second_certificate.clone());
    fs::write(&both, pem::encode_many(&[one, two])).unwrap();
    let common_name = world.common_name(CertificateKind::CardSign, KIYOSE);
    let tbs = world.request(CertificateKind::CardSign, &issuer, &common_name).tbs().unwrap();
    let leaf = signed(&tbs, &second);
    let (accepted, said) = verify(directory.path(), both.to_str().unwrap(), "smimesign", &leaf);
    assert!(accepted, "{said}");
    let first_only = pem(directory.path(), "first.pem", &first.certificate);
    assert!(!verify(directory.path(), &first_only, "smimesign", &leaf).0);
}

#[test]
fn keys_of_the_next_card_are_certified() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&pair).unwrap();
    let key = SubjectKey::from_csr(request.pem().unwrap().as_bytes()).unwrap();
    let (issuer, ca) = authority(AUTH);
    let common_name = world.common_name(CertificateKind::CardAuth, KIYOSE);
    let request = world.request(CertificateKind::CardAuth, &issuer, &common_name);
    let tbs = Resident { key: &key, ..request }.tbs().unwrap();
    let path = pem(directory.path(), "ca.pem", &issuer.certificate);
    let (accepted, said) = verify(directory.path(), &path, "sslclient", &signed(&tbs, &ca));
    assert!(accepted, "{said}");
}

proptest! {
    #[test]
    fn no_octets_given_for_a_key_bring_it_down(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(SubjectKey::from_spki(&octets).is_err());
        prop_assert!(SubjectKey::from_csr(&octets).is_err());
    }

    #[test]
    fn a_damaged_key_is_refused_or_is_another_key(at in 0_usize..294, flip in 1_u8..) {
        let mut spki = real::rsa(real::SIGN_MODULUS).spki().to_vec();
        spki[at] ^= flip;
        if let Ok(key) = SubjectKey::from_spki(&spki) {
            prop_assert_ne!(key.key_id(), real::rsa(real::SIGN_MODULUS).key_id());
        }
    }
}

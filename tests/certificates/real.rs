//! Real certificates rebuilt from what went into them: every octet of the TBSCertificate of the
//! official test card's two certificates and of their issuers, by its SHA-256.

use sekisho::der::Writer;
use sekisho::issue::{
    Address, Applicant, BirthDate, CaCertificate, CommonName, HolderName, OcspUrl, Resident, Sex, SubjectKey,
    Validity,
};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, SignatureAlgorithm, oid,
};
use sekisho::profile::Profile;

use super::{AUTH, KIYOSE, SIGN, serial, time};

/// What the real test certificates were made from.
struct Real {
    profile: Profile,
    applicant: Applicant,
    ocsp_url: OcspUrl,
}

fn real() -> Real {
    let mut profile = Profile::jpki("JPKI-TEST").unwrap();
    profile.cps_uri = "http://www.jpki.go.jp/cps.html".to_owned();
    let applicant = Applicant {
        name: HolderName::new("黒桐　幹也", None, None).unwrap(),
        birth: BirthDate::parse("1980-02-17", time("2025-10-27T00:00:00Z")).unwrap(),
        sex: Sex::Male,
        address: Address::new("東京都清瀬市観布子南１２－７－２０２", None).unwrap(),
    };
    Real { profile, applicant, ocsp_url: "http://test-ocspauthnorm.jpki.go.jp".parse().unwrap() }
}

impl Real {
    fn issuer(&self, authority: AuthorityId) -> Issuer {
        let (number, not_before, not_after, modulus) = match authority {
            SIGN => (0x1e_a8a8, "2024-08-28T22:23:39Z", "2034-08-28T14:59:59Z", SIGN_CA_MODULUS),
            _ => (0x21_8887, "2023-03-23T02:05:02Z", "2033-03-22T14:59:59Z", AUTH_CA_MODULUS),
        };
        let key = rsa(modulus);
        Issuer {
            authority,
            generation: Generation::FIRST,
            serial: serial(number),
            name: self.profile.authority(authority).unwrap().name(),
            not_before: time(not_before),
            not_after: time(not_after),
            spki: key.spki().to_vec(),
            public_key: Vec::new(),
            key_id: key.key_id(),
            certificate: Vec::new(),
        }
    }
}

pub fn rsa(modulus: &str) -> SubjectKey {
    let public_key = Writer::to_der(|w| {
        w.sequence(|w| {
            w.unsigned(&hex(modulus));
            w.integer(65_537);
        });
    });
    let spki = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(&oid::RSA_ENCRYPTION);
                w.null();
            });
            w.bit_string(&public_key);
        });
    });
    SubjectKey::from_spki(&spki).unwrap()
}

#[test]
fn a_real_signing_certificate_is_rebuilt_octet_for_octet() {
    let real = real();
    let applied_at = time("2025-10-16T17:26:00+09:00");
    let issuer = real.issuer(SIGN);
    let tbs = Resident {
        profile: &real.profile,
        issuer: &issuer,
        kind: CertificateKind::CardSign,
        serial: serial(0x1e_e607),
        algorithm: SignatureAlgorithm::RsaSha256,
        validity: Validity::new(time("2025-10-27T01:35:57Z"), time("2030-02-17T14:59:59Z")).unwrap(),
        common_name: &CommonName::signing(applied_at, 134, KIYOSE, "003A".parse().unwrap()).unwrap(),
        applicant: &real.applicant,
        key: &rsa(SIGN_MODULUS),
        ocsp_url: &real.ocsp_url,
    }
    .tbs()
    .unwrap();
    assert_eq!(tbs.len(), 1478);
    assert_eq!(sha256(&tbs), "a40ea378d5ac7e849ad9a48fc97f44bf3bc24ab2dcc513c12773f24ce0c2baef");
}

#[test]
fn a_real_authentication_certificate_is_rebuilt_octet_for_octet() {
    let real = real();
    let issuer = real.issuer(AUTH);
    let window = "003A".parse().unwrap();
    let tbs = Resident {
        profile: &real.profile,
        issuer: &issuer,
        kind: CertificateKind::CardAuth,
        serial: serial(0x22_7b13),
        algorithm: SignatureAlgorithm::RsaSha256,
        validity: Validity::new(time("2025-10-27T01:35:42Z"), time("2030-02-17T14:59:59Z")).unwrap(),
        common_name: &CommonName::authentication("997794E9AGCIEG", KIYOSE, window).unwrap(),
        applicant: &real.applicant,
        key: &rsa(AUTH_MODULUS),
        ocsp_url: &real.ocsp_url,
    }
    .tbs()
    .unwrap();
    assert_eq!(tbs.len(), 1310);
    assert_eq!(sha256(&tbs), "f0a4e881f5a70f60fd8402d03fdffceef10c5507f6f6b5ba37feb0dea3112a6f");
}

#[test]
fn real_ca_certificates_are_rebuilt_octet_for_octet() {
    let real = real();
    for (authority, modulus, digest) in [
        (SIGN, SIGN_CA_MODULUS, "4c15122288313871dda423cf956fa136d143213e96b65d373cc5962e18892ebe"),
        (AUTH, AUTH_CA_MODULUS, "0863f570c53816278caf04e7fdca81a3a45727216d7c9f854bbc8f6f8c567999"),
    ] {
        let issuer = real.issuer(authority);
        let tbs = CaCertificate {
            profile: &real.profile,
            authority,
            serial: issuer.serial,
            algorithm: SignatureAlgorithm::RsaSha256,
            validity: Validity::of_ca(issuer.not_before, real.profile.ca_years).unwrap(),
            key: &rsa(modulus),
        }
        .tbs()
        .unwrap();
        assert_eq!(sha256(&tbs), digest);
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn sha256(octets: &[u8]) -> String {
    HashAlgorithm::Sha256.digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The test card's signing key.
pub const SIGN_MODULUS: &str = "\
    e3fc28e2c30ac35959aa5cd10b293fb3050db76183b173ebdffff9c7d944f9def88336991037c1dbd56ccf582528933b3795\
    e36bf6e567db7ef564bc1375bb7e735d6008b7554834837aec982789c6e0084f7ed0eec1cac36c79558645e285ce9f1b2efe\
    97e87cf371f422636e7d906d1bbff2c9584530efda1a464a4a9aa2bc7c8270308f531fdb9c4b50edaede706675eff5617745\
    135062289a5a97ced14329292bab6db7e19640a835d136845dafce9db79853be0b2c8d42bde141cb3f83cb404c36cc5162d7\
    8f4507d80844e5f0bc2bdbab74ef47fcb734123a635559ff6a98dc99ec7c4df095c19da537ce7b4e5d14a25444e8a36582ee\
    a15902a075f5";

/// The test card's authentication key.
const AUTH_MODULUS: &str = "\
    ac794f1769867ee2955e43e0ea18eef36a948e47e1fd3fb3614f8325f49a4fd2e29c95844dff1443880dac9cd29d2e7ac29a\
    d9951821f7db27b36148af27d67ba9b11dc8616efb44a23d710ca184a6615d82e40d2b4b956100614597e1b501d2cd1c3d7a\
    9f8f4368f14f925ee41e500c8da8260d4d8b22421ce6c48e43dacd82d1474ec7acb8d0ed70875c365378e134daa37593dae1\
    4dd0c692011ee26925c77b317f36057beb2d899361ca5c3a09c63226aa418520347935d41204ab29e3d298a7eb411b2e31a1\
    6bf4872498c514763a3050031e6e0455f43a79e33b9b1e558ee5ef9c0adec344d378cf139dff15f171fc7de7aeb8124b8418\
    7459c1484ee3";

/// The signing authority's second test key.
const SIGN_CA_MODULUS: &str = "\
    c037633e41b899aad4710383e146d614d1a6c65c562dc2f6d8c796873b7e785a7ec93b4c2c0f498b0b679d12022b046cfb24\
    960c66c8a17acb68dc0ba796ac32885f28772c4f0902e2c74887b26c5b81851538caed50cde7f3223148bb7ebd7be7060a52\
    786180c39b8bce7ea06321760959755c7ad1272e053cf1dfcf328b3b69c97da8f960cfc6443780aa8e008b073f81bc938db3\
    3877a221799d89395d73262a0072007ebe812f13ddc496c1ae1a2d81c97a3b749644e298e436dc85d7814733db9d7bd32b11\
    df2ba2cd5e89481e3f396f89a16cbb5cdce093cc2363cae6ed7b42a6bfdd702f89a5c04ea80df5f8b8418d75a7e6dc5ef658\
    9a06fe634cd5";

/// The authentication authority's second test key.
const AUTH_CA_MODULUS: &str = "\
    958837e0d194d549a3e655b0c5900098cb6301140704daef0510de173699297f06da4ee171067e2e9dbcc0e1fdcd696bff0c\
    eba5796efe96f4de6b39ee2a85209503f9669a2ebe0ec87c0b340c062cc267e48a26a2c69622d9826f4cb87558e6db20802d\
    c25783fb9bf12a78565ccc8a5ce7a50e59ae360d35745f68ed5fc6003ddc4187983e69a3fd698e1b8ee8621b05c925d04172\
    415a09d56f83b9f21fdb0ea9d75bf9dbd33960269f7abf34a54337b064d9b1ce57d514add31fa260d7f23e3de49a29cfbca0\
    0379b1627b979104dfb56675990f1a51529594043d98a255fdc7b8a14b140c8e61a365aebf5a34457bccc285641ed82badd8\
    38bffe3d4c17";

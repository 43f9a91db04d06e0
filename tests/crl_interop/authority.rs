//! Whether the certificate of a CA is revoked: by its ARL and by the full CRL.

use std::path::{Path, PathBuf};

use sekisho::lifecycle::Revoke;
use sekisho::pki::{AuthorityId, CertificateKind, Generation, RevocationReason, SerialNumber};
use sekisho::record::CertificateRef;

use crate::java::{JARS, java};
use crate::orders::{Asked, Order};
use crate::stage::{GENERATIONS, Life, Verdict};
use crate::verify::verify;
use crate::world::{KIYOSE, World};

#[test]
fn openssl_java_and_bouncycastle_decide_on_ca_certificates_by_either_crl() {
    let world = World::new();
    let resident = world.issue(CertificateKind::CardSign, KIYOSE);
    crate::issuers::new_generation(&world.office, AuthorityId(1));
    let before = world.publish(true);
    let [old, new] = GENERATIONS.map(|generation| world.ca("sign", generation));
    let serial = SerialNumber::try_from(1_u64).unwrap();
    let certificate = CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial };
    let revoke = Revoke { reason: Some(RevocationReason::Superseded), invalidity_date: None };
    assert!(crate::issuers::revoke(&world.office, certificate, revoke).unwrap());
    let after = world.publish(true);
    let mut orders = Vec::new();
    for (set, of_old) in [(&before, "good"), (&after, "revoked superseded")] {
        for name in ["authority", "full"] {
            let [first, second] = GENERATIONS.map(|generation| set.find("sign", generation, name));
            let partition = set.find("sign", 1, "13221");
            let decided = verify(
                &["-crl_check_all"],
                std::slice::from_ref(&old),
                &[partition, first.clone()],
                &[&resident.file],
            );
            assert_eq!(decided[0], of_old.split(' ').next().unwrap(), "by {name}");
            // Each is trusted alone: no key identifier tells Java which of both signed a CA certificate.
            for crls in [vec![first.clone(), second.clone()], vec![second, first]] {
                orders.push((order(&old, &crls), of_old));
                orders.push((order(&new, &crls), "good"));
            }
        }
    }
    let (orders, right): (Vec<Order>, Vec<&str>) = orders.into_iter().unzip();
    assert_eq!(java("Jdk.java", "", &orders), right);
    assert_eq!(java("BouncyCastle.java", JARS, &orders), right);
}

fn order(ca: &Path, crls: &[PathBuf]) -> Order {
    let asked = Asked { file: ca.to_owned(), life: Life::Good, right: Verdict::Good };
    Order { deltas: false, cas: vec![ca.to_owned()], crls: crls.to_vec(), certificates: vec![asked] }
}

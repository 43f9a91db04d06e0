//! A detached signature over a catalogue: whoever keeps one can prove later what the journal's
//! chain head was (RFC 5652). Public notices are signed in the same form.

use std::sync::Arc;

use crate::der::{DerError, Reader, Writer, tag};
use crate::pki::{HashAlgorithm, Issuer, PublicKey, SerialNumber, oid};
use crate::signer::{Key, SignError};

/// SignedData without the content it signs:
/// ```text
/// SignedData ::= SEQUENCE {
///      version           CMSVersion,                    -- v1
///      digestAlgorithms  DigestAlgorithmIdentifiers,    -- SHA-256
///      encapContentInfo  EncapsulatedContentInfo,       -- id-data, detached
///      certificates  [0] IMPLICIT CertificateSet,       -- the CA's
///      signerInfos       SignerInfos }                  -- one, without signed attributes
/// ```
/// A catalogue, or a notice, is JSON and begins with `{`, so its signature by a CA key is none over a
/// certificate or CRL, which begin with `0`.
///
/// # Errors
/// [`SignError`].
pub fn sign_catalogue(json: &[u8], issuer: &Issuer, key: &Key) -> Result<Vec<u8>, SignError> {
    let signature = key.sign(json)?;
    let digest_algorithm = |w: &mut Writer| w.sequence(|w| w.oid(&HashAlgorithm::Sha256.oid()));
    let signer_info = |w: &mut Writer| {
        w.sequence(|w| {
            w.integer(VERSION_1);
            w.sequence(|w| {
                w.raw(issuer.name.der());
                issuer.serial.write(w);
            });
            digest_algorithm(w);
            key.algorithm().write(w);
            w.octet_string(&signature);
        });
    };
    Ok(Writer::to_der(|w| {
        w.sequence(|w| {
            w.oid(&oid::CMS_SIGNED_DATA);
            w.nested(tag::context_constructed(0), |w| {
                w.sequence(|w| {
                    w.integer(VERSION_1);
                    w.nested(tag::SET, digest_algorithm);
                    w.sequence(|w| w.oid(&oid::CMS_DATA));
                    w.nested(tag::context_constructed(0), |w| w.raw(&issuer.certificate));
                    w.nested(tag::SET, signer_info);
                });
            });
        });
    }))
}

/// Whose signature over a catalogue this is, among `issuers`; none when it is nobody's. Of the certificate in it
/// nothing is believed.
#[must_use]
pub fn signer_of_catalogue<'a>(
    cms: &[u8],
    json: &[u8],
    issuers: &'a [Arc<Issuer>],
) -> Option<&'a Arc<Issuer>> {
    let (name, serial, signature) = read(cms).ok()?;
    let named = issuers.iter().filter(|issuer| issuer.name.der() == name && issuer.serial == serial);
    let signed = |issuer: &&Arc<Issuer>| {
        PublicKey::from_spki(&issuer.spki).is_ok_and(|key| key.verify(json, signature).is_ok())
    };
    named.into_iter().find(signed)
}

/// The issuer and serial of who signed, and the signature.
fn read(cms: &[u8]) -> Result<(&[u8], SerialNumber, &[u8]), DerError> {
    let mut reader = Reader::new(cms);
    let found = reader.sequence(|r| {
        r.oid()?;
        r.nested(tag::context_constructed(0), |r| {
            r.sequence(|r| {
                r.integer()?;
                r.read(tag::SET)?;
                r.read(tag::SEQUENCE)?;
                r.read(tag::context_constructed(0))?;
                r.nested(tag::SET, |r| {
                    r.sequence(|r| {
                        r.integer()?;
                        let (name, serial) =
                            r.sequence(|r| Ok::<_, DerError>((r.element()?.whole, SerialNumber::read(r)?)))?;
                        r.read(tag::SEQUENCE)?;
                        r.read(tag::SEQUENCE)?;
                        Ok::<_, DerError>((name, serial, r.octet_string()?))
                    })
                })
            })
        })
    })?;
    reader.finish()?;
    Ok(found)
}

/// CMSVersion 1: id-data, and signers named by issuer and serial (RFC 5652 §§5.1, 5.3).
const VERSION_1: u64 = 1;

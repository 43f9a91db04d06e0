//! The request of nearly every client, read at a glance.

use super::cert_id::CertId;
use crate::der::{Reader, tag};
use crate::pki::SerialNumber;

/// AlgorithmIdentifiers of the hashes that clients use, parameters NULL and absent, and how long
/// their hashes are.
const HASHES: [(&[u8], usize); 4] = [
    (&[0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0], 20),
    (&[0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0], 32),
    (&[0x30, 7, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a], 20),
    (&[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1], 32),
];

/// Octets of the headers around a CertID's content: OCSPRequest, TBSRequest, requestList, Request,
/// CertID.
const HEADERS: usize = 10;

/// The CertID of a request that holds nothing else, and is shorter than 128 octets. None does not
/// say that the request is wrong, only that it has to be read in full.
pub(super) fn plain(der: &[u8]) -> Option<(CertId<'_>, &[u8])> {
    let (headers, content) = der.split_first_chunk::<HEADERS>()?;
    let (pairs, _) = headers.as_chunks::<2>();
    let mut left = u8::try_from(der.len()).ok().filter(|len| *len < 0x80)?;
    for [tag, len] in pairs {
        left -= 2;
        // Each fills the one around it.
        if *tag != tag::SEQUENCE || *len != left {
            return None;
        }
    }
    let (algorithm, hash_len) = HASHES.iter().find(|(algorithm, _)| content.starts_with(algorithm))?;
    let hashes = content.get(algorithm.len()..)?;
    let key = hashes.get(2 + hash_len..)?;
    let serial = key.get(2 + hash_len..)?;
    let len = u8::try_from(*hash_len).ok()?;
    if !(hashes.starts_with(&[tag::OCTET_STRING, len]) && key.starts_with(&[tag::OCTET_STRING, len])) {
        return None;
    }
    let mut reader = Reader::new(serial);
    let serial_number = Some(SerialNumber::from_content(reader.integer().ok()?).ok()?);
    reader.finish().ok()?;
    let issuer = content.get(..content.len() - serial.len())?;
    Some((CertId { der: der.get(HEADERS - 2..)?, issuer, serial_number }, der.get(HEADERS - 4..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::{OcspRequest, to_request};
    use super::*;
    use crate::pki::HashAlgorithm;

    fn request(hash: HashAlgorithm, null: bool, serial: &[u8]) -> Vec<u8> {
        let hashed = hash.digest(b"issuer");
        let cert_id = |w: &mut crate::der::Writer| {
            w.sequence(|w| {
                w.oid(&hash.oid());
                if null {
                    w.null();
                }
            });
            w.octet_string(&hashed);
            w.octet_string(&hashed);
            w.value(tag::INTEGER, serial);
        };
        to_request(cert_id, None)
    }

    /// Read at a glance, it is what it is when read in full.
    fn agrees(der: &[u8]) -> bool {
        let Some((cert_id, request_list)) = plain(der) else { return false };
        let whole = OcspRequest::read(der, 16).unwrap();
        assert_eq!(whole.plain_parts(), Some((cert_id, request_list)), "{der:02x?}");
        true
    }

    #[test]
    fn what_clients_send_is_read_at_a_glance() {
        for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
            for (null, serial) in [(true, &[1][..]), (false, &[0, 0x80]), (true, &[0x7f; 8])] {
                assert!(agrees(&request(hash, null, serial)), "{hash:?}");
            }
        }
        // In full: too long, no serial, not DER.
        assert!(!agrees(&request(HashAlgorithm::Sha512, true, &[1])));
        for serial in [&[][..], &[0], &[0x80], &[0, 1], &[1; 21]] {
            assert!(!agrees(&request(HashAlgorithm::Sha1, true, serial)), "{serial:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_glance_sees_nothing_that_is_not_there(
            sha256: bool, null: bool, serial: u64, at in 0_usize..120, octet: u8, cut in 0_usize..4,
        ) {
            let hash = if sha256 { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 };
            let serial = SerialNumber::try_from(serial.max(1)).unwrap();
            let mut der = request(hash, null, &crate::der::Writer::to_der(|w| serial.write(w))[2..]);
            agrees(&der);
            let at = at % der.len();
            der[at] = octet;
            agrees(&der);
            der.truncate(der.len() - cut);
            agrees(&der);
        }
    }
}

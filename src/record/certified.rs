//! For whom a public key was certified.

use ring::digest;

use super::{Event, HolderId, Numbered};
use crate::pki::{AuthorityId, CertificateKind, SerialNumber};

/// Names a public key: the first 16 octets of the SHA-256 of its SubjectPublicKeyInfo, DER. Whoever finds
/// two keys of one name has taken 2⁶⁴ steps to be refused the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub u128);

impl KeyDigest {
    /// The name of the key in `spki`.
    #[must_use]
    pub fn of(spki: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, spki);
        Self(digest.as_ref().first_chunk().map_or(0, |head| u128::from_be_bytes(*head)))
    }
}

/// A public key was certified. Beside each [`Event::Issued`] of a key that somebody handed in: that of a
/// test key has none, since everybody has test keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertifiedKey {
    /// Which key.
    pub key: KeyDigest,
    /// Whose: nobody else gets a certificate for it.
    pub holder: HolderId,
    /// What for: it is certified for nothing else.
    pub kind: CertificateKind,
    /// The authority of its last certificate.
    pub authority: AuthorityId,
    /// The serial of its last certificate.
    pub serial: SerialNumber,
}

impl CertifiedKey {
    /// The one fold: what an entry makes of a key. The last certificate counts: no decision certifies a
    /// key for another person or kind than before.
    pub fn apply(known: &mut Option<Self>, numbered: &Numbered) {
        if let Event::KeyCertified(certified) = &numbered.entry.event
            && known.is_none_or(|known| known.key == certified.key)
        {
            *known = Some(*certified);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_the_first_half_of_its_sha_256() {
        // SHA-256 of "abc" (FIPS 180-4).
        assert_eq!(KeyDigest::of(b"abc"), KeyDigest(0xba78_16bf_8f01_cfea_4141_40de_5dae_2223));
        assert_ne!(KeyDigest::of(b"abd"), KeyDigest::of(b"abc"));
    }
}

//! New private keys.

use rcgen::{KeyPair, RsaKeySize};
use zeroize::Zeroizing;

use crate::profile::KeyType;

/// No key could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key could be generated: {0}")]
pub struct GenerateError(#[from] rcgen::Error);

/// A new private key as PKCS#8 (RFC 5958), DER. The only place where randomness is not an
/// argument: the cryptographic library draws it from the system. RSA takes about 0.1 s.
///
/// # Errors
/// When the cryptographic library fails.
pub fn generate_key(key_type: KeyType) -> Result<Zeroizing<Vec<u8>>, GenerateError> {
    let pair = match key_type {
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        KeyType::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?,
        KeyType::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?,
        KeyType::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519)?,
    };
    Ok(Zeroizing::new(pair.serialize_der()))
}

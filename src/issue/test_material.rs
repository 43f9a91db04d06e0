//! The committed authorities and keys of tests and benches. TEST ONLY: everybody has the
//! private keys.

use std::fs;
use std::path::Path;

use super::{
    CaCertificate, GenerateError, IssueError, SubjectKey, SubjectKeyError, Validity, assemble, generate_key,
};
use crate::der::UnixTime;
use crate::pki::{SerialError, SerialNumber};
use crate::profile::{KeyType, ORGANIZATION, Profile, ProfileError};
use crate::signer::{Key, KeyError, SignError};

/// Keys in the pool: enough that neighbours differ, few enough to make in seconds.
const POOL_KEYS: usize = 32;

/// The test authorities are valid from 2026-04-01T00:00:00+09:00, so that a remade set is as
/// old as the one before.
const ISSUED_AT: i64 = 1_774_969_200;

/// The committed authorities: name, certificate, private key.
const AUTHORITIES: [(&str, &str, &str); 2] = [
    ("sign", include_str!("../../certs/sign-1.pem"), include_str!("../../certs/sign-1.key")),
    ("auth", include_str!("../../certs/auth-1.pem"), include_str!("../../certs/auth-1.key")),
];

/// Stands above every key.
const WARNING: &str = "# TEST ONLY: this key is public. Whatever it signs proves nothing.\n";

/// Why test material could not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant passes on what the step of that name says")]
pub enum TestMaterialError {
    #[error("cannot write the test material: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error(transparent)]
    Subject(#[from] SubjectKeyError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Serial(#[from] SerialError),
}

/// Certificate and PKCS#8 private key, both DER, of the first generation of the committed test
/// authority `name`, `sign` or `auth`.
#[must_use]
pub fn authority(name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate, key) = AUTHORITIES.iter().find(|(known, ..)| *known == name)?;
    let der = |text| pem::parse(text).ok().map(pem::Pem::into_contents);
    Some((der(certificate)?, der(key)?))
}

/// Makes the test material anew in `directory`: a first generation of each authority, and the
/// pool of residents' keys. What is there is overwritten, and with it every certificate made
/// from it becomes worthless.
///
/// # Errors
/// [`TestMaterialError`].
pub fn write(directory: &Path) -> Result<(), TestMaterialError> {
    let profile = Profile::jpki(ORGANIZATION)?;
    fs::create_dir_all(directory)?;
    for authority in &profile.authorities {
        let pkcs8 = generate_key(KeyType::Rsa2048)?;
        let key = Key::from_pkcs8(&pkcs8)?;
        let tbs = CaCertificate {
            profile: &profile,
            authority: authority.id,
            serial: SerialNumber::try_from(1)?,
            algorithm: key.algorithm(),
            validity: Validity::of_ca(UnixTime::from_seconds(ISSUED_AT), profile.ca_years)?,
            key: &SubjectKey::from_spki(key.spki())?,
        }
        .tbs()?;
        let certificate = assemble(&tbs, key.algorithm(), &key.sign(&tbs)?);
        let path = |extension| directory.join(format!("{}-1.{extension}", authority.name));
        fs::write(path("pem"), block("CERTIFICATE", &certificate))?;
        fs::write(path("key"), format!("{WARNING}{}", block(PRIVATE_KEY, &pkcs8)))?;
    }
    let mut pool = WARNING.to_owned();
    for _ in 0..POOL_KEYS {
        pool.push_str(&block(PRIVATE_KEY, &generate_key(KeyType::Rsa2048)?));
    }
    fs::write(directory.join("test-keys.pem"), pool)?;
    Ok(())
}

/// Label of PKCS#8 (RFC 7468 §10).
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// PEM with the line ends of this repository.
fn block(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, Generation, Issuer};

    #[test]
    fn the_committed_authorities_are_the_profiles_and_their_keys_fit() {
        let profile = Profile::jpki(ORGANIZATION).unwrap();
        for (name, id) in [("sign", 1), ("auth", 2)] {
            let (certificate, key) = authority(name).unwrap();
            let issuer = Issuer::from_certificate(AuthorityId(id), Generation::FIRST, &certificate).unwrap();
            assert_eq!(issuer.name, profile.authority_named(name).unwrap().name());
            assert_eq!(issuer.spki, Key::from_pkcs8(&key).unwrap().spki());
            assert_eq!(issuer.not_before.to_string(), "2026-03-31T15:00:00Z");
            assert_eq!(issuer.not_after.to_string(), "2036-03-31T14:59:59Z");
        }
        assert!(authority("none").is_none());
    }

    #[test]
    fn material_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        for file in ["sign-1.pem", "sign-1.key", "auth-1.pem", "auth-1.key", "test-keys.pem"] {
            let text = fs::read_to_string(directory.path().join(file)).unwrap();
            assert_eq!(
                text.starts_with("# TEST ONLY"),
                !file.starts_with("sign-1.pem") && !file.starts_with("auth-1.pem")
            );
            assert_eq!(pem::parse_many(&text).unwrap().len(), if file == "test-keys.pem" { 32 } else { 1 });
        }
    }
}

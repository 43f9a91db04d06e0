//! A pool of test keys, because drawing RSA keys for a thousand demo residents takes minutes.

use std::fmt;

use rcgen::{KeyPair, PublicKeyData};
use zeroize::Zeroizing;

use super::{SubjectKey, SubjectKeyError};

/// TEST ONLY: everybody has these private keys.
const POOL: &str = include_str!("../../certs/test-keys.pem");

/// Keys of residents that do not exist.
#[derive(Debug, Clone)]
pub struct TestKeys {
    /// Never empty.
    first: TestKey,
    rest: Vec<TestKey>,
}

/// One of them.
#[derive(Clone)]
pub struct TestKey {
    /// The private key, PKCS#8.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The public key.
    pub public: SubjectKey,
}

/// The pool cannot be read: the file it is built from was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestKeysError {
    /// No key at all, or no PEM.
    #[error("certs/test-keys.pem holds no keys: remake it as certs/README.md says")]
    Empty,
    /// A key that cannot be certified.
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
    /// A block that is no private key.
    #[error("certs/test-keys.pem is damaged ({0}): remake it as certs/README.md says")]
    Private(#[from] rcgen::Error),
}

impl TestKeys {
    /// The pool that ships with the service.
    ///
    /// # Errors
    /// [`TestKeysError`].
    pub fn load() -> Result<Self, TestKeysError> {
        let blocks = pem::parse_many(POOL).map_err(|_| TestKeysError::Empty)?;
        let mut keys = blocks
            .into_iter()
            .map(|block| TestKey::from_pkcs8(block.into_contents()))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(TestKeysError::Empty);
        }
        let first = keys.remove(0);
        Ok(Self { first, rest: keys })
    }

    /// The `i`th key; from the last on, the first again.
    #[must_use]
    pub fn nth(&self, i: usize) -> &TestKey {
        let at = i % (self.rest.len() + 1);
        at.checked_sub(1).and_then(|at| self.rest.get(at)).unwrap_or(&self.first)
    }
}

impl TestKey {
    fn from_pkcs8(pkcs8: Vec<u8>) -> Result<Self, TestKeysError> {
        let pair = KeyPair::try_from(pkcs8.as_slice())?;
        let public = SubjectKey::from_spki(&pair.subject_public_key_info())?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8), public })
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::profile::KeyType;

    #[test]
    fn the_pool_holds_32_different_rsa_keys_and_goes_round() {
        let keys = TestKeys::load().unwrap();
        let ids: HashSet<_> = (0..32).map(|i| keys.nth(i).public.key_id()).collect();
        assert_eq!(ids.len(), 32);
        assert!((0..32).all(|i| keys.nth(i).public.key_type() == KeyType::Rsa2048));
        assert_eq!(keys.nth(32).public, keys.nth(0).public);
        assert_eq!(keys.nth(usize::MAX).public, keys.nth(31).public);
    }
}

//! Signatures with the authorities' keys.
//!
//! They are made on the threads that sign OCSP answers too, in a lane of their own: a flood of
//! questions does not hold up CRLs and issuing, and a set of CRLs does not hold up answers.

use std::sync::Arc;

use super::{LiveGeneration, Office, OfficeError, Sign};
use crate::crl::{SignedCrl, TbsCertList, sign_catalogue};
use crate::signer::{Key, Lane};

impl Office {
    /// Signs answers that nobody waits for, after everything else.
    #[must_use]
    pub fn sign_last(&self) -> Sign {
        let pool = Arc::clone(&self.pool);
        Arc::new(move |job| {
            pool.run(Lane::Refresh, move || {
                let made = job.sign();
                (job, made)
            })
        })
    }

    /// Signs `message` with the key of `live`, and gives both back. Waits for its turn.
    pub(super) fn sign(
        &self,
        live: &LiveGeneration,
        message: Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<u8>), OfficeError> {
        Ok(self.with_key(live, move |key| key.sign(&message).map(|signature| (message, signature)))??)
    }

    /// Signs a CRL with the key of `live`. Waits for its turn.
    pub(super) fn sign_crl(&self, live: &LiveGeneration, tbs: TbsCertList) -> Result<SignedCrl, OfficeError> {
        Ok(self.with_key(live, move |key| tbs.sign(key))??)
    }

    /// Signs a catalogue with the key of `live`, and gives both back. Waits for its turn.
    pub(super) fn sign_catalogue(
        &self,
        live: &LiveGeneration,
        json: Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<u8>), OfficeError> {
        let issuer = Arc::clone(&live.issuer);
        let sign = move |key: &Key| sign_catalogue(&json, &issuer, key).map(|signature| (json, signature));
        Ok(self.with_key(live, sign)??)
    }

    fn with_key<T: Send + 'static>(
        &self,
        live: &LiveGeneration,
        sign: impl FnOnce(&Key) -> T + Send + 'static,
    ) -> Result<T, OfficeError> {
        let key = Arc::clone(live.key()?);
        Ok(self.pool.run(Lane::Authority, move || sign(&key)))
    }
}

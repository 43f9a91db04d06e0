//! The renewal of OCSP signers before their time.

use super::signer_record::subject_of;
use super::signers::{algorithm, name};
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::ocsp::Signer;
use crate::pki::{Generation, SerialNumber};
use crate::record::Origin;

/// Which signers are meant; all of them when nothing is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignersNamed {
    /// Name of the authority that they answer for.
    pub authority: Option<String>,
    /// Of which key.
    pub generation: Option<u8>,
    /// The kind of their own keys.
    pub key: Option<SignerKey>,
}

/// What became of a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// Name of the authority it answers for.
    pub authority: String,
    /// Of which key.
    pub generation: Generation,
    /// The kind of its own key, as the settings name it.
    pub key: &'static str,
    /// Serial of the one that was in use before.
    pub before: Option<SerialNumber>,
    /// Serial of the one in use now.
    pub serial: SerialNumber,
    /// End of its validity.
    pub not_after: UnixTime,
    /// The file that the one in use was given by: it is not renewed here.
    pub file: Option<String>,
}

impl Office {
    /// Makes new signers in the place of those in use; they sign from when this returns. Those before
    /// stay valid until they end. Those given by files are not made here, and stay.
    ///
    /// # Errors
    /// Nothing of the kind is configured, or the first that could not be made; the others are in use.
    pub fn renew_signers_now(
        &self,
        which: &SignersNamed,
        origin: &Origin,
    ) -> Result<Vec<Renewed>, OfficeError> {
        self.believed_clock()?;
        let authority = which.authority.as_deref().map(|name| self.authority(name)).transpose()?;
        let keeping = self.keeping.lock();
        let now = self.clock.now();
        let is_meant = |live: &LiveGeneration| {
            authority.is_none_or(|id| id == live.issuer.authority)
                && which.generation.is_none_or(|number| number == live.issuer.generation.number())
        };
        let mut places = Vec::new();
        // Those of a retired key are not renewed: who names it is told.
        let can_renew = |live: &LiveGeneration| which.generation.is_some() || !live.is_retired();
        for live in self.all_live_generations().into_iter().filter(|live| is_meant(live) && can_renew(live)) {
            let keys = self.config.ocsp.signers.iter().filter(|key| which.key.is_none_or(|one| one == **key));
            places.extend(keys.map(|key| (live.clone(), *key)));
        }
        if places.is_empty() {
            return Err(OfficeError::NoSigner("no such OCSP signer signs here".to_owned()));
        }
        let before: Vec<_> = places.iter().map(|(live, key)| self.signer_in_use(live, *key)).collect();
        let mut failed = None;
        for (live, key) in &places {
            if self.given_signer(live, algorithm(*key), now).is_none()
                && let Err(error) = self.make_signer(live, *key, now, origin)
            {
                failed.get_or_insert(error);
            }
        }
        drop(self.carry_out(self.plan_signers(now), now));
        drop(keeping);
        match failed {
            Some(error) => Err(error),
            None => places
                .iter()
                .zip(before)
                .map(|((live, key), before)| self.renewed_now(live, *key, before))
                .collect(),
        }
    }

    fn renewed_now(
        &self,
        live: &LiveGeneration,
        key: SignerKey,
        before: Option<std::sync::Arc<Signer>>,
    ) -> Result<Renewed, OfficeError> {
        let which = || format!("no {} OCSP signer of {} is in use", key.name(), live.authority);
        let signer = self.signer_in_use(live, key).ok_or_else(|| OfficeError::NoSigner(which()))?;
        let serial_of = |signer: &Signer| Ok::<_, OfficeError>(subject_of(&signer.certificate)?.serial);
        Ok(Renewed {
            authority: live.authority.clone(),
            generation: live.issuer.generation,
            key: name(signer.key.algorithm()),
            before: before.as_deref().map(serial_of).transpose()?,
            serial: serial_of(&signer)?,
            not_after: signer.not_after,
            file: self.file_of(&signer),
        })
    }

    /// Who signs for a generation by a kind of key.
    fn signer_in_use(&self, live: &LiveGeneration, key: SignerKey) -> Option<std::sync::Arc<Signer>> {
        let in_use = self.signers.in_use.load();
        let ours = in_use.iter().filter(|one| {
            (one.issuer.authority, one.issuer.generation) == (live.issuer.authority, live.issuer.generation)
        });
        ours.flat_map(|one| &one.signers).find(|one| one.key.algorithm() == algorithm(key)).cloned()
    }

    /// The file of `signers/` that a signer was given by.
    pub(super) fn file_of(&self, signer: &Signer) -> Option<String> {
        let given = self.signers.given.load();
        let one = given.iter().find(|given| given.held.signer.certificate == signer.certificate)?;
        Some(one.shown.file.clone())
    }
}

//! Requests about OCSP signers.

use data_encoding::HEXLOWER;

use super::api::{self, Problem, ProblemKind};
use super::requests::{in_words, serial_of, time};
use crate::config::SignerKey;
use crate::lifecycle::Revoke;
use crate::office::{
    Office, OfficeError, RefusedSigner, Renewed, SignerNamed, SignerRevocation, SignerState, SignersNamed,
    Successor,
};
use crate::pki::RevocationReason;
use crate::record::Origin;

pub(super) fn list(office: &Office, asked: &api::ListSigners) -> Result<api::Signers, Problem> {
    let refused = office.refused_signers().into_iter();
    let refused = refused.map(|RefusedSigner { file, why }| api::RefusedSigner { file, why });
    let signers = office.signers(asked.all)?.into_iter().map(signer);
    Ok(api::Signers { signers: signers.collect(), refused: refused.collect() })
}

pub(super) fn renew(
    office: &Office,
    asked: &api::RenewSigners,
    origin: Origin,
) -> Result<api::RenewedSigners, Problem> {
    let key = asked.kind.as_deref().map(kind).transpose()?;
    let which = SignersNamed { authority: asked.authority.clone(), generation: asked.generation, key };
    let signers = office.renew_signers_now(&which, &origin)?.into_iter().map(renewed);
    Ok(api::RenewedSigners { signers: signers.collect() })
}

pub(super) fn revoke(
    office: &Office,
    asked: &api::RevokeSigner,
    origin: Origin,
) -> Result<api::RevokedSigner, Problem> {
    let reason = asked.reason.as_deref().map(str::parse).transpose().map_err(OfficeError::from)?;
    // Who revokes a signer fears for its key; for all else there is renewal.
    let reason = Some(reason.unwrap_or(RevocationReason::KeyCompromise));
    let revoke = Revoke { reason, invalidity_date: time(asked.invalid_since.as_deref())? };
    let (which, without_successor) = (named(office, &asked.signer)?, asked.without_successor);
    let done = office.revoke_signer(&SignerRevocation { which, revoke, without_successor }, origin)?;
    Ok(api::RevokedSigner {
        authority: done.authority,
        generation: done.certificate.generation.number(),
        serial: done.certificate.serial.to_string(),
        key: done.key.to_owned(),
        status: in_words(done.status),
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
        changed: done.changed,
        repeated: done.repeated,
        file: done.file,
        successor: done.successor.map(|Successor { serial, not_after }| api::Successor {
            serial: serial.to_string(),
            not_after: not_after.to_string(),
        }),
    })
}

fn named(office: &Office, signer: &api::SignerAddressed) -> Result<SignerNamed, Problem> {
    Ok(match signer {
        api::SignerAddressed::Serial { authority, serial } => SignerNamed::Serial {
            authority: authority.clone(),
            serial: serial_of(office, authority, serial)?,
        },
        api::SignerAddressed::InUse { authority, generation, kind: key } => SignerNamed::Generation {
            authority: authority.clone(),
            generation: *generation,
            key: key.as_deref().map(kind).transpose()?,
        },
    })
}

fn kind(name: &str) -> Result<SignerKey, Problem> {
    SignerKey::named(name).ok_or_else(|| Problem {
        error: format!("there is no kind of signer {name}: use p256, rsa2048, p384 or ed25519"),
        kind: ProblemKind::Invalid,
    })
}

fn signer(one: SignerState) -> api::Signer {
    api::Signer {
        authority: one.authority,
        generation: one.generation.number(),
        serial: one.serial.to_string(),
        key: one.key.map(str::to_owned),
        key_id: one.key_id.map(|key_id| HEXLOWER.encode(&key_id)),
        not_before: one.not_before.to_string(),
        not_after: one.not_after.to_string(),
        state: one.standing.name().to_owned(),
        since: one.since.to_string(),
        status: in_words(one.status),
        file: one.file,
        signatures: one.signatures,
    }
}

fn renewed(one: Renewed) -> api::RenewedSigner {
    api::RenewedSigner {
        authority: one.authority,
        generation: one.generation.number(),
        key: one.key.to_owned(),
        before: one.before.map(|serial| serial.to_string()),
        serial: one.serial.to_string(),
        not_after: one.not_after.to_string(),
        file: one.file,
    }
}

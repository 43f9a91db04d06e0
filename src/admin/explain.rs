//! Where an answer would come from, in the API's words.

use data_encoding::HEXLOWER;

use super::api::{self, ExplainedAnswer, ExplainedSigner, Problem, Status};
use super::requests::in_words;
use crate::ocsp::KeptAnswer;
use crate::office::{Explanation, KeptBy, Office, Selector, Use};
use crate::pki::{CertStatus, HashAlgorithm, SignatureAlgorithm};

pub(super) fn explain(office: &Office, selector: &Selector) -> Result<api::Explanation, Problem> {
    let explained = office.explain(selector)?;
    let Explanation { authority, serial, generation, status, since, position, now, frozen, signers, others } =
        explained;
    Ok(api::Explanation {
        authority,
        serial: serial.to_string(),
        generation: generation.map(|generation| generation.number()),
        status: match status {
            CertStatus::Unknown => Status { status: "unknown".to_owned(), ..in_words(status) },
            known => in_words(known),
        },
        since: since.map(|since| since.to_string()),
        position: position.map(|position| position.0),
        now: now.to_string(),
        frozen: frozen.map(|frozen| frozen.why.to_string()),
        signers: signers.iter().map(signer).collect(),
        others: others.iter().map(answer).collect(),
    })
}

fn signer(signer: &KeptBy) -> ExplainedSigner {
    ExplainedSigner {
        generation: signer.generation.number(),
        key_id: HEXLOWER.encode(&signer.key_id),
        serial: signer.serial.to_string(),
        not_after: signer.not_after.to_string(),
        algorithm: algorithm(signer.algorithm).to_owned(),
        kept: signer.kept.iter().map(answer).collect(),
    }
}

fn answer((kept, usable): &(KeptAnswer, Use)) -> ExplainedAnswer {
    let (held_until, why) = match usable {
        Use::Given(until) => (Some(until), "it is given to who asks now"),
        Use::Due(until) => (Some(until), "it is given to who asks now, and the next is made"),
        Use::Old => (None, "another is signed; it is given only if that fails"),
        Use::Outdated => (None, "the status or the signer is another since"),
        Use::Over => (None, "its nextUpdate has passed"),
        Use::Ahead => (None, "it is dated ahead of the clock, which went back"),
    };
    ExplainedAnswer {
        hash: hash(kept.hash).to_owned(),
        null_parameters: kept.null_parameters,
        signed_at: kept.produced_at.to_string(),
        refresh_at: kept.due_at.to_string(),
        next_update: kept.next_update.to_string(),
        http_cached_until: held_until.map(ToString::to_string),
        usable: held_until.is_some(),
        why: why.to_owned(),
    }
}

const fn hash(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha1 => "sha1",
        HashAlgorithm::Sha256 => "sha256",
        HashAlgorithm::Sha384 => "sha384",
        HashAlgorithm::Sha512 => "sha512",
    }
}

const fn algorithm(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::RsaSha256 => "rsa-sha256",
        SignatureAlgorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        SignatureAlgorithm::EcdsaP384Sha384 => "ecdsa-p384-sha384",
        SignatureAlgorithm::Ed25519 => "ed25519",
    }
}

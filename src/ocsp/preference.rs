//! Preferred signature algorithms (RFC 6960 §4.4.7).

use std::sync::Arc;

use super::cert_id::AlgorithmIdentifier;
use super::directory::Identity;
use super::error::OcspError;
use super::extension::write_extension;
use crate::der::{DerError, Reader, Writer, tag};
use crate::pki::{SignatureAlgorithm, oid};

/// ```text
/// PreferredSignatureAlgorithms ::= SEQUENCE OF PreferredSignatureAlgorithm
/// PreferredSignatureAlgorithm  ::= SEQUENCE {
///     sigIdentifier           AlgorithmIdentifier,
///     pubKeyAlgIdentifier     SMIMECapability OPTIONAL }
/// ```
/// The content of the list, read once and found well-formed; empty when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Preference<'a>(&'a [u8]);

impl<'a> Preference<'a> {
    pub(super) fn read(value: &'a [u8]) -> Result<Self, OcspError> {
        let mut reader = Reader::new(value);
        let content = reader.read(tag::SEQUENCE)?;
        reader.finish()?;
        let mut list = Reader::new(content);
        while !list.is_empty() {
            Preferred::read(&mut list)?;
        }
        Ok(Self(content))
    }

    /// The signer of the first algorithm listed that one of `identities` has; the first of them
    /// when there is no such (§4.4.7.2.1 leaves the choice to the responder).
    pub(super) fn choose(self, identities: &[Arc<Identity>]) -> Option<&Arc<Identity>> {
        let mut list = Reader::new(self.0);
        // Read a second time, now without an error.
        let mut preferred = std::iter::from_fn(|| Preferred::read(&mut list).ok());
        let chosen = preferred.find_map(|one| identities.iter().find(|identity| one.is_met_by(identity)));
        chosen.or_else(|| identities.first())
    }
}

struct Preferred<'a> {
    signature: AlgorithmIdentifier<'a>,
    /// SMIMECapability has the form of an AlgorithmIdentifier.
    public_key: Option<AlgorithmIdentifier<'a>>,
}

impl<'a> Preferred<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        reader.sequence(|r| {
            let signature = AlgorithmIdentifier::read(r)?;
            let public_key = if r.is_empty() { None } else { Some(AlgorithmIdentifier::read(r)?) };
            Ok(Self { signature, public_key })
        })
    }

    /// Parameters of the signature say nothing here: each algorithm has one form of them. Those
    /// of the key name its curve, and may be left out.
    fn is_met_by(&self, identity: &Identity) -> bool {
        let key = identity.key_algorithm();
        self.signature.algorithm == identity.key.algorithm().oid().content()
            && self.public_key.is_none_or(|wanted| {
                key.is_some_and(|key| {
                    wanted.algorithm == key.algorithm
                        && (wanted.parameters.is_none() || wanted.parameters == key.parameters)
                })
            })
    }
}

/// Writes the extension with one algorithm in it.
pub(super) fn write_preference(writer: &mut Writer, algorithm: SignatureAlgorithm) {
    write_extension(writer, &oid::OCSP_PREF_SIG_ALGS, |w| {
        w.sequence(|w| w.sequence(|w| algorithm.write(w)));
    });
}

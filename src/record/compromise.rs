//! Keys of authorities that are compromised, or retired: one entry revokes all that a key signed, one ends its
//! use.

use std::collections::BTreeMap;

use super::{CertificateRef, Event, Numbered, Position};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation, Revocation, RevocationReason};

/// What the [`Event::GenerationCompromised`] of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compromise {
    /// The entry.
    pub position: Position,
    /// When it was recorded: the revocationDate of all that the key signed.
    pub recorded_at: UnixTime,
    /// Since when the key is believed to be in other hands.
    pub invalidity_date: Option<UnixTime>,
    /// The [`Event::GenerationRevoked`] behind it: every certificate has an entry of its own since. None
    /// while some have not.
    pub written: Option<Position>,
}

impl Compromise {
    /// What it makes of a good certificate.
    #[must_use]
    pub const fn revocation(&self) -> Revocation {
        Revocation {
            revoked_at: self.recorded_at,
            reason: RevocationReason::CaCompromise,
            invalidity_date: self.invalidity_date,
        }
    }
}

/// The keys that are compromised, and those that are retired. That one is, is said once, and never taken
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compromises {
    compromised: BTreeMap<(AuthorityId, Generation), Compromise>,
    /// By the [`Event::GenerationRetired`].
    retired: BTreeMap<(AuthorityId, Generation), Position>,
}

impl Compromises {
    /// What an entry makes of them.
    pub fn apply(&mut self, numbered: &Numbered) {
        let Numbered { position, entry } = numbered;
        match &entry.event {
            Event::GenerationCompromised { authority, generation, invalidity_date } => {
                let (recorded_at, invalidity_date) = (entry.recorded_at, *invalidity_date);
                let said = Compromise { position: *position, recorded_at, invalidity_date, written: None };
                self.compromised.entry((*authority, *generation)).or_insert(said);
            }
            Event::GenerationRevoked { authority, generation } => {
                if let Some(known) = self.compromised.get_mut(&(*authority, *generation)) {
                    known.written.get_or_insert(*position);
                }
            }
            Event::GenerationRetired { authority, generation, .. } => {
                self.retired.entry((*authority, *generation)).or_insert(*position);
            }
            _ => {}
        }
    }

    /// True when the key that an event issues by was retired before `position`.
    #[must_use]
    pub fn is_retired_before(&self, certificate: &CertificateRef, position: Position) -> bool {
        let at = self.retired.get(&(certificate.authority, certificate.generation));
        at.is_some_and(|at| *at < position)
    }

    /// That of a key, if it is compromised.
    #[must_use]
    pub fn find(&self, authority: AuthorityId, generation: Generation) -> Option<&Compromise> {
        self.compromised.get(&(authority, generation))
    }

    /// That of the key that signed a certificate.
    #[must_use]
    pub fn of(&self, certificate: &CertificateRef) -> Option<&Compromise> {
        self.find(certificate.authority, certificate.generation)
    }

    /// All of them, by authority and generation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (AuthorityId, Generation, &Compromise)> {
        self.compromised.iter().map(|((authority, generation), one)| (*authority, *generation, one))
    }

    /// Those of which not every certificate has an entry of its own.
    pub fn unwritten(&self) -> impl Iterator<Item = (AuthorityId, Generation, &Compromise)> {
        self.iter().filter(|(_, _, one)| one.written.is_none())
    }

    /// Takes up what a snapshot says.
    pub fn restore(&mut self, authority: AuthorityId, generation: Generation, one: Compromise) {
        self.compromised.insert((authority, generation), one);
    }

    /// Takes up that a snapshot says that a key is retired.
    pub fn restore_retired(&mut self, authority: AuthorityId, generation: Generation, at: Position) {
        self.retired.insert((authority, generation), at);
    }
}

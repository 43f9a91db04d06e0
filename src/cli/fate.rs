//! What becomes of the residents of a demo.

use crate::pki::CertificateKind;

/// What a twentieth of the residents go through, in turn.
const FATES: [Fate; 5] = [
    Fate { event: "move-within", certificate: None },
    Fate { event: "death", certificate: None },
    Fate { event: "re-issue", certificate: None },
    Fate { event: "key-compromise", certificate: Some(CertificateKind::CardAuth) },
    Fate { event: "card-abolition", certificate: None },
];

/// What a hundredth go through.
const LOST: Fate = Fate { event: "card-suspension", certificate: None };

/// Something that is reported of a resident, or of their card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// The rule's name.
    pub(super) event: &'static str,
    /// The certificate it names.
    pub(super) certificate: Option<CertificateKind>,
}

/// What becomes of resident `number` of so many: one in twenty is revoked, one in a hundred held, and
/// in a small population enough of each to try.
pub(super) fn fate(number: u32, residents: u32) -> Option<Fate> {
    let (revoked_every, held_every) = if residents < 500 { (6, 17) } else { (20, 100) };
    if number % revoked_every == 3 {
        let turn = usize::try_from(number / revoked_every).unwrap_or(0) % FATES.len();
        FATES.get(turn).copied()
    } else if number % held_every == 7 % held_every {
        Some(LOST)
    } else {
        None
    }
}

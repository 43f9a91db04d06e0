//! What is on a card or phone is held and released with it: for tests about what becomes of a certificate then,
//! each on a card of its own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use sekisho::lifecycle::Turn;
use sekisho::office::{Asked, Changed, Office, OfficeError, Selector, Wish};
use sekisho::record::Origin;

/// As an operator does it: by the certificate to revoke it, by its card to hold or release it.
pub fn change(
    office: &Office,
    certificate: &Selector,
    wish: Wish,
    origin: Origin,
) -> Result<Changed, OfficeError> {
    let turn = match wish {
        Wish::Hold { .. } => Turn::Lost,
        Wish::Release => Turn::Found,
        Wish::Revoke(_) => return office.change(&Asked { certificate: certificate.clone(), wish }, origin),
    };
    let before = office.inquire(certificate, None)?;
    let card = before.record.issued.card.expect("residents' certificates are on cards and phones");
    let turned = office.turn(card, turn, origin)?;
    let after = office.inquire(certificate, None)?;
    Ok(Changed {
        certificate: after.record.issued.certificate,
        authority: after.authority,
        status: after.status,
        position: after.position,
        recorded_at: after.recorded_at,
        changed: turned.changed.iter().any(|(one, _)| *one == before.record.issued.certificate),
        repeated: false,
    })
}

//! What may become of certificates, and of the cards and phones that carry them: pure decisions
//! over records.
//!
//! A decision is handed the records as they stand and the time it will bear, and returns the
//! events to be journaled, nothing when it is so already, or a refusal. It reads no clock and
//! writes nothing, so the committer may run it again.

mod hand_over;
mod issuing;
mod losing;
mod movement;
mod reconcile;
mod status;

pub use hand_over::{alive, hand_over, is_at_its_end, is_expired, is_good};
pub use issuing::{Occasion, Residence, may_issue, may_live, may_set_up_phone, newest};
pub use losing::{Turn, not_apart, turn};
pub use movement::{Carried, Report};
pub use reconcile::{Disagreement, of_card, of_holder};
pub use status::{Revoke, hold, release, revoke, revoke_issuer};

//! What may become of a certificate: pure decisions over its record.
//!
//! A decision is handed the record as it stands and the time it will bear, and returns the
//! event to be journaled, nothing when it is so already, or a refusal. It reads no clock and
//! writes nothing, so the committer may run it again.

mod status;

pub use status::{Revoke, hold, release, revoke};

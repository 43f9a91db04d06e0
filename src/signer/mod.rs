//! Keys, and the only place that signs with them.
//!
//! Every signature is verified with the public key before it is returned: a device or a bit
//! that fails must cost an answer, never put a broken one into the world.

mod key;

pub use key::{Key, KeyError, SignError};

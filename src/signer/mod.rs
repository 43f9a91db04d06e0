//! Keys, and the only place that signs with them.
//!
//! Every signature is verified with the public key before it is returned: a device or a bit
//! that fails must cost an answer, never put a broken one into the world.
//!
//! Whoever cannot wait for a signature on its own thread takes it to the [`Pool`].

mod device;
mod gate;
mod key;
mod lanes;
mod pool;

pub use device::SimDevice;
pub use key::{Key, KeyError, SignError};
pub use lanes::{Lane, Limits};
pub use pool::{Load, Place, Pool, Work};

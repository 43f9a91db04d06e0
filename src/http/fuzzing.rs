//! A window for the fuzz targets, built with `--cfg fuzzing` only: the path of a GET.

use super::encoding::{self, Spelling};

/// Every reading of a raw path, the likelier first; none when it is no request.
#[must_use]
pub fn readings(path: &str) -> Vec<Vec<u8>> {
    let first = match encoding::decode(path) {
        Spelling::Octets(octets) => Some(octets),
        Spelling::Undecodable | Spelling::Foreign => None,
    };
    first.into_iter().chain(encoding::decode_without_final_slash(path)).collect()
}

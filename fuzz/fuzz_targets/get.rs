//! The path of a GET: any has its readings, and what it reads as comes back from every spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho::http::fuzzing::readings;
use sekisho_fuzz::clock::within_time;
use sekisho_fuzz::spelling::spellings;

/// The first octet of every request, by which a path is told from others.
const SEQUENCE: u8 = 0x30;
/// Octets spelled out: each has dozens of spellings, of up to three octets a digit.
const SPELLED_MAX: usize = 160;

fuzz_target!(|input: &[u8]| {
    let Ok(path) = std::str::from_utf8(input) else { return comes_back(&[&[SEQUENCE], input].concat()) };
    for octets in within_time(|| readings(path)) {
        if octets.first() == Some(&SEQUENCE) {
            comes_back(&octets);
        }
    }
});

fn comes_back(request: &[u8]) {
    if request.len() > SPELLED_MAX {
        return;
    }
    let [plain, slashed] = spellings(request);
    for path in plain {
        assert_eq!(readings(&path).first().map(Vec::as_slice), Some(request), "{path}");
    }
    for path in slashed {
        assert!(readings(&path).iter().any(|reading| reading == request), "{path}");
    }
}

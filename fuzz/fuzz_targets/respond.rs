//! The whole responder: whatever octets come, the answer is right, and soon there.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::clock::within_time;
use sekisho_fuzz::stage::Stage;
use sekisho_fuzz::world::at;

thread_local! {
    static STAGE: LazyCell<Stage> = LazyCell::new(Stage::new);
}

fuzz_target!(|request: &[u8]| {
    STAGE.with(|stage| {
        // Made now, before the clock runs.
        let stage: &Stage = stage;
        within_time(|| stage.answer(request, at(0)));
        stage.check(request);
    });
});

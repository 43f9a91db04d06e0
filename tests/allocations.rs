//! What an answer costs in memory: the one allocation that holds it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic"
)]

mod world;

use allocation_counter::measure;
use sekisho::ocsp::{Options, Respond};
use sekisho::pki::{HashAlgorithm, RevocationReason};
use world::{Ask, Ca, World, at, serial};

#[test]
fn a_kept_answer_is_one_allocation() {
    let ca = Ca::p256(1, 1);
    let world = World::new(&[ca.identity()], Options::default());
    (1..10).for_each(|number| world.issue(&ca, serial(number), at(-100)));
    world.revoke(&ca, 2, RevocationReason::KeyCompromise, 1, at(-50));
    for request in [ca.ask(1), ca.ask(2), ca.ask(77), Ask::one(ca.cert_id(HashAlgorithm::Sha256, 3)).to_der()]
    {
        world.answer(&request, at(0));
        // The first look on a thread sets up what it shares with the others.
        drop(world.responder.respond(&request, at(1)));
        let mut answer = None;
        let counted = measure(|| answer = Some(world.responder.respond(&request, at(1))));
        let Some(Respond::Ready(answer)) = answer else { panic!("not kept") };
        assert_eq!(counted.count_total, 1, "{counted:?}");
        assert_eq!(counted.bytes_total, u64::try_from(answer.body.len()).unwrap());
    }
}

//! Many connections at once.

use std::thread;

use crate::client::{Client, get, post, post_chunked};
use crate::dice::Dice;
use crate::responder::{SignsWith, World, base64};
use crate::site::{Served, contains, options};

#[test]
fn rfc9112_s9_3_2_answers_are_to_the_questions_in_their_order() {
    const CONNECTIONS: u64 = 64;
    const ROUNDS: u64 = 30;
    const SERIALS: u64 = 2000;
    let served = Served::with(World::new(SignsWith::P256, SERIALS), options());
    let served = &served;
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut dice = Dice::new(connection);
                let mut client = Client::connect(served.address());
                for round in 0..ROUNDS {
                    let mut asked = Vec::new();
                    let mut octets = Vec::new();
                    for place in 0..=dice.roll(6) {
                        let serial = 1 + dice.roll(SERIALS);
                        let nonce = (dice.roll(2) == 0).then(|| {
                            let mut nonce = [0x5a; 24];
                            nonce[..8].copy_from_slice(&connection.to_be_bytes());
                            nonce[8..16].copy_from_slice(&round.to_be_bytes());
                            nonce[16..].copy_from_slice(&place.to_be_bytes());
                            nonce
                        });
                        let request = served.request(serial, nonce.as_ref().map(|nonce| &nonce[..]));
                        octets.extend(match dice.roll(3) {
                            0 => post("/", &request),
                            1 => post_chunked("/ocsp", &request, 1 + dice.roll(40) as usize),
                            _ => get(&format!("/{}", base64(&request))).into_bytes(),
                        });
                        asked.push((serial, nonce));
                    }
                    match dice.roll(5) {
                        // Leaves in the middle of the last request, or of the answers.
                        0 => {
                            let cut = 1 + dice.roll(octets.len() as u64) as usize;
                            client.send(&octets[..cut]);
                            client = Client::connect(served.address());
                            continue;
                        }
                        // In two parts.
                        1 => {
                            let cut = 1 + dice.roll(octets.len() as u64 - 1) as usize;
                            client.send(&octets[..cut]);
                            thread::yield_now();
                            client.send(&octets[cut..]);
                        }
                        _ => client.send(&octets),
                    }
                    for (serial, nonce) in asked {
                        let response = client.response();
                        assert_eq!(response.status, 200);
                        assert!(contains(&response.body, &served.cert_id(serial)), "another's answer");
                        if let Some(nonce) = nonce {
                            assert!(contains(&response.body, &nonce), "another's nonce");
                        }
                    }
                }
            });
        }
    });
}

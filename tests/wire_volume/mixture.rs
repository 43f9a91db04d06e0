//! Everything a client may do, by 64 connections at once: no answer to another's question.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use sekisho::der::{Writer, tag};
use sekisho::pki::oid;

use crate::answer::{GOOD, Look, REVOKED, UNKNOWN};
use crate::client::{get, post, post_chunked, post_with, with_method};
use crate::dice::Dice;
use crate::pipe::{Pipe, Seen};
use crate::responder::{SignsWith, World, base64};
use crate::site::{Served, options};
use crate::world::basic;
use crate::{alone, how_many};

const CONNECTIONS: u64 = 64;
const SERIALS: u64 = 5_000;
/// Serials above are nobody's: `unknown`.
const ASKED_ABOUT: u64 = SERIALS + 100;
/// Requests in one write at most.
const DEPTH: u64 = 12;
/// One answer in so many has its signature verified.
const VERIFIED: u64 = 50;
/// CertIDs in one request at most.
const SEVERAL: u64 = 4;

/// How often each thing was done, and had its answers looked at.
#[derive(Default)]
struct Done {
    checked: AtomicU64,
    posts: AtomicU64,
    chunked: AtomicU64,
    gets: AtomicU64,
    heads: AtomicU64,
    continued: AtomicU64,
    nonces: AtomicU64,
    several: AtomicU64,
    pipelined: AtomicU64,
    dripped: AtomicU64,
    slowly_read: AtomicU64,
    left_in_request: AtomicU64,
    left_in_answer: AtomicU64,
    verified: AtomicU64,
    revoked_since: AtomicU64,
}

#[test]
fn a_mixture_of_everything_gets_no_answer_to_anothers_question() {
    let _alone = alone();
    let requests = how_many("SEKISHO_TEST_REQUESTS", 100_000);
    let served = Served::with(World::new(SignsWith::P256, SERIALS), options());
    let done = Done::default();
    let acknowledged: Vec<AtomicBool> = (0..=ASKED_ABOUT).map(|_| AtomicBool::new(false)).collect();
    let began = Instant::now();
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (served, done, acknowledged) = (&served, &done, &acknowledged);
            scope.spawn(move || {
                let dice = Dice::new(number);
                let pipe = Pipe::connect(served.address());
                let share = requests / CONNECTIONS;
                let mut visitor = Visitor {
                    number,
                    served,
                    done,
                    acknowledged,
                    dice,
                    pipe,
                    nonces: 0,
                    heard: 0,
                    left: share,
                };
                while visitor.left > 0 {
                    visitor.visit();
                }
            });
        }
        // Meanwhile certificates are revoked: from the acknowledgement on, nobody hears good.
        scope.spawn(|| {
            for serial in 1..=SERIALS / 4 {
                served.revoke(serial * 4 - 1);
                acknowledged[serial as usize * 4 - 1].store(true, SeqCst);
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
    report(&done, requests, began.elapsed());
}

fn report(done: &Done, requests: u64, took: Duration) {
    let least = |per_mille: u64| requests * per_mille / 1000;
    let mut all = String::new();
    for (name, counter, least) in [
        ("checked", &done.checked, requests / CONNECTIONS * CONNECTIONS),
        ("posts", &done.posts, least(100)),
        ("chunked", &done.chunked, least(50)),
        ("gets", &done.gets, least(100)),
        ("heads", &done.heads, least(20)),
        ("continued", &done.continued, least(5)),
        ("nonces", &done.nonces, least(200)),
        ("several CertIDs", &done.several, least(100)),
        ("pipelined", &done.pipelined, least(300)),
        ("dripped", &done.dripped, least(2)),
        ("slowly read", &done.slowly_read, least(1)),
        ("left in the request", &done.left_in_request, least(5)),
        ("left in the answer", &done.left_in_answer, least(5)),
        ("verified", &done.verified, least(10)),
        ("revoked meanwhile", &done.revoked_since, least(1)),
    ] {
        let count = counter.load(Relaxed);
        all += &format!("{name} {count}, ");
        assert!(count >= least, "{name}: {count} of at least {least}");
    }
    println!("{all}in {took:.1?}");
}

/// One request, and what must be in its answer.
struct Question {
    octets: Vec<u8>,
    is_head: bool,
    serials: Vec<u64>,
    nonce: Option<Vec<u8>>,
    /// Of each serial: whether its revocation was acknowledged before this was sent.
    revoked: Vec<bool>,
}

/// One connection at a time, for as long as there are requests left.
struct Visitor<'a> {
    number: u64,
    served: &'a Served,
    done: &'a Done,
    acknowledged: &'a [AtomicBool],
    dice: Dice,
    pipe: Pipe,
    nonces: u64,
    heard: u64,
    left: u64,
}

impl Visitor<'_> {
    fn visit(&mut self) {
        match self.dice.roll(100) {
            0..4 => self.wait_for_continue(),
            4..8 => self.leave_in_the_request(),
            8..12 => self.leave_in_the_answer(),
            12..15 => self.drip(),
            15..16 => self.read_slowly(),
            _ => {
                let asked = self.questions();
                self.pipe.send(&octets(&asked));
                self.hear(&asked);
            }
        }
    }

    fn wait_for_continue(&mut self) {
        let (request, question) = self.question();
        let fields = [("Content-Type", "application/ocsp-request"), ("Expect", "100-continue")];
        let whole = post_with("/", &fields, &request);
        let (head, body) = whole.split_at(whole.len() - request.len());
        self.pipe.send(head);
        assert_eq!(self.pipe.response(false).unwrap().status, 100);
        self.pipe.send(body);
        self.done.continued.fetch_add(1, Relaxed);
        self.hear(&[Question { is_head: false, octets: whole, ..question }]);
    }

    fn leave_in_the_request(&mut self) {
        let all = octets(&self.questions());
        let cut = 1 + self.dice.roll(all.len() as u64 - 1) as usize;
        self.pipe.send(&all[..cut]);
        self.reconnect();
        self.done.left_in_request.fetch_add(1, Relaxed);
    }

    fn leave_in_the_answer(&mut self) {
        let asked = self.questions();
        self.pipe.send(&octets(&asked));
        let some = 1 + self.dice.roll(300) as usize;
        assert!(self.pipe.read_some(some) > 0);
        self.reconnect();
        self.done.left_in_answer.fetch_add(1, Relaxed);
    }

    fn drip(&mut self) {
        let asked = self.questions();
        let all = octets(&asked);
        let piece = 1 + all.len() / (2 + self.dice.roll(8) as usize);
        for piece in all.chunks(piece) {
            self.pipe.send(piece);
            thread::sleep(Duration::from_micros(200));
        }
        self.done.dripped.fetch_add(1, Relaxed);
        self.hear(&asked);
    }

    fn read_slowly(&mut self) {
        let asked = self.questions();
        self.pipe.send(&octets(&asked));
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(2));
            // The shortest answer has more octets than these.
            self.pipe.read_some(20);
        }
        self.done.slowly_read.fetch_add(1, Relaxed);
        self.hear(&asked);
    }

    fn reconnect(&mut self) {
        self.pipe = Pipe::connect(self.served.address());
    }

    fn questions(&mut self) -> Vec<Question> {
        let depth = 1 + self.dice.roll(DEPTH);
        (0..depth).map(|_| self.question().1).collect()
    }

    /// A request's octets, and the question as one of the methods asks it.
    fn question(&mut self) -> (Vec<u8>, Question) {
        let count = if self.dice.roll(4) == 0 { 2 + self.dice.roll(SEVERAL - 1) } else { 1 };
        let serials: Vec<u64> = (0..count).map(|_| 1 + self.dice.roll(ASKED_ABOUT)).collect();
        let nonce = (self.dice.roll(5) < 2).then(|| self.nonce());
        let request = self.request(&serials, nonce.as_deref());
        let path = format!("/{}", base64(&request));
        let mut is_head = false;
        let octets = match self.dice.roll(8) {
            0..3 => post("/", &request),
            3 => post_chunked("/ocsp", &request, 1 + self.dice.roll(60) as usize),
            4..7 => get(&path).into_bytes(),
            _ => {
                is_head = true;
                with_method("HEAD", &path, &[]).into_bytes()
            }
        };
        let revoked = serials.iter().map(|serial| self.acknowledged[*serial as usize].load(SeqCst)).collect();
        (request, Question { octets, is_head, serials, nonce, revoked })
    }

    /// 16 to 128 octets that nobody else uses, and this one never again.
    fn nonce(&mut self) -> Vec<u8> {
        self.nonces += 1;
        let mut nonce = [self.number.to_be_bytes(), self.nonces.to_be_bytes()].concat();
        nonce.resize(16 + self.dice.roll(113) as usize, 0x5a);
        nonce
    }

    fn request(&self, serials: &[u64], nonce: Option<&[u8]>) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.sequence(|w| {
                        for serial in serials {
                            w.sequence(|w| w.raw(&self.served.cert_id(*serial)));
                        }
                    });
                    if let Some(nonce) = nonce {
                        w.nested(tag::context_constructed(2), |w| {
                            w.sequence(|w| {
                                w.sequence(|w| {
                                    w.oid(&oid::OCSP_NONCE);
                                    w.octet_string_of(|w| w.octet_string(nonce));
                                });
                            });
                        });
                    }
                });
            });
        })
    }

    /// Reads an answer to each question, in order, and looks into it.
    fn hear(&mut self, asked: &[Question]) {
        for question in asked {
            let response = self.pipe.response(question.is_head).unwrap();
            assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(response.head));
            if question.is_head {
                assert_eq!(response.field("content-type"), Some("application/ocsp-response"));
                assert_eq!(response.field("etag").is_some(), question.nonce.is_none());
            } else {
                question.look(self.served, &response);
                self.heard += 1;
                if self.heard.is_multiple_of(VERIFIED) {
                    verify(response.body);
                    self.done.verified.fetch_add(1, Relaxed);
                }
            }
            self.note(question, asked.len());
        }
        self.left = self.left.saturating_sub(asked.len() as u64);
    }

    fn note(&self, question: &Question, depth: usize) {
        let Done { posts, chunked, gets, heads, nonces, several, pipelined, revoked_since, checked, .. } =
            self.done;
        let is = |counter: &AtomicU64, so: bool| counter.fetch_add(u64::from(so), Relaxed);
        let starts = |text: &[u8]| question.octets.starts_with(text);
        is(checked, true);
        is(heads, question.is_head);
        is(posts, starts(b"POST / "));
        is(chunked, starts(b"POST /ocsp "));
        is(gets, starts(b"GET "));
        is(nonces, question.nonce.is_some());
        is(several, question.serials.len() > 1);
        is(pipelined, depth > 1);
        is(revoked_since, question.revoked.contains(&true));
    }
}

impl Question {
    /// The answer names these certificates in this order, this nonce, and no status older than
    /// the question.
    fn look(&self, served: &Served, response: &Seen<'_>) {
        let look = Look::into(response.body).expect("an error");
        assert_eq!(look.singles.len(), self.serials.len(), "another's answer");
        assert!(look.nonce == self.nonce.as_deref(), "another's nonce");
        for (((cert_id, status), serial), revoked) in
            look.singles.iter().zip(&self.serials).zip(&self.revoked)
        {
            assert!(*cert_id == served.cert_id(*serial), "another's answer");
            let expected: &[u8] = match serial {
                _ if *serial > SERIALS => &[UNKNOWN],
                _ if *revoked || serial.is_multiple_of(20) => &[REVOKED],
                // Its revocation may be under way.
                _ if serial % 4 == 3 => &[GOOD, REVOKED],
                _ => &[GOOD],
            };
            assert!(expected.contains(status), "{serial} is said to be {status:#x}");
        }
    }
}

fn octets(asked: &[Question]) -> Vec<u8> {
    asked.iter().flat_map(|question| &question.octets).copied().collect()
}

/// By another reader, and the signature by the key of the certificate in the answer.
fn verify(body: &[u8]) {
    let answer = basic(body);
    let certificate = rasn::der::encode(&answer.certs.unwrap()[0]).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    let signed = rasn::der::encode(&answer.tbs_response_data).unwrap();
    let key = &certificate.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(&signed, answer.signature.as_raw_slice())
        .expect("the signature is another answer's");
}

//! A world of authorities behind a socket, asked by POST and by GET.

use std::cell::RefCell;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rasn_ocsp::{BasicOcspResponse, SingleResponse};
use sekisho::der::UnixTime;
use sekisho::http::{Documents, Options, Readiness, Server, Site};
use sekisho::ocsp;
use sekisho::store::Clock;

use crate::client::{Client, Response, get, post};
use crate::responder::{base64, now};
use crate::world::{Ca, World, basic, serial};

pub const MALFORMED_REQUEST: [u8; 5] = [0x30, 3, 10, 1, 1];
pub const TRY_LATER: [u8; 5] = [0x30, 3, 10, 1, 3];
pub const UNAUTHORIZED: [u8; 5] = [0x30, 3, 10, 1, 6];

/// When everything that is issued beforehand was issued.
pub fn long_ago() -> UnixTime {
    now().minus(Duration::from_secs(10_000))
}

pub fn later(seconds: u64) -> UnixTime {
    now().plus(Duration::from_secs(seconds))
}

/// A world, served.
pub struct Served {
    world: World,
    client: RefCell<Client>,
    _server: Server,
}

impl Served {
    pub fn new(world: World) -> Self {
        let site = Arc::new(Site {
            responder: Arc::clone(&world.responder),
            documents: ArcSwap::from_pointee(Documents::default()),
            checkpoint: arc_swap::ArcSwapOption::empty(),
            readiness: Box::new(Readiness::default),
            max_age: Duration::from_secs(60),
            clock: Clock::system(),
        });
        let options = Options { cores: NonZeroUsize::MIN, ..Options::default() };
        let server = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), site, options).unwrap();
        Self { world, client: RefCell::new(Client::connect(server.local_addr())), _server: server }
    }

    /// One authority that issued serials 1 to 9.
    pub fn one() -> (Ca, Self) {
        Self::one_with(ocsp::Options::default())
    }

    pub fn one_with(options: ocsp::Options) -> (Ca, Self) {
        let ca = Ca::p256(1, 1);
        let world = World::new(&[ca.identity_until(later(30 * 86_400))], options);
        (1..10).for_each(|number| world.issue(&ca, serial(number), long_ago()));
        (ca, Self::new(world))
    }

    pub fn post(&self, request: &[u8]) -> Response {
        let mut client = self.client.borrow_mut();
        client.send(post("/", request));
        client.response()
    }

    pub fn get(&self, request: &[u8]) -> Response {
        let mut client = self.client.borrow_mut();
        client.send(get(&format!("/{}", base64(request).replace('/', "%2F").replace('+', "%2B"))));
        client.response()
    }

    /// The answer by POST, which is the answer by GET too unless a nonce makes each its own.
    pub fn answer(&self, request: &[u8]) -> BasicOcspResponse {
        let [posted, got] = [self.post(request), self.get(request)];
        for response in [&posted, &got] {
            assert_eq!(response.status, 200, "{}", response.head);
            assert_eq!(response.field("content-type"), Some("application/ocsp-response"));
        }
        let answer = basic(&posted.body);
        if answer.tbs_response_data.response_extensions.is_none() {
            assert!(posted.body == got.body, "by GET another answer than by POST");
        } else {
            basic(&got.body);
        }
        answer
    }

    /// The answer by POST alone.
    pub fn posted(&self, request: &[u8]) -> BasicOcspResponse {
        basic(&self.post(request).body)
    }

    pub fn singles(&self, request: &[u8]) -> Vec<SingleResponse> {
        self.answer(request).tbs_response_data.responses
    }

    pub fn single(&self, request: &[u8]) -> SingleResponse {
        let [single] = <[SingleResponse; 1]>::try_from(self.singles(request)).unwrap();
        single
    }

    /// The request gets this error, by POST and by GET: five octets that nobody may keep.
    pub fn refused(&self, request: &[u8], error: [u8; 5]) {
        let by_get = (!request.is_empty()).then(|| self.get(request));
        for response in by_get.into_iter().chain([self.post(request)]) {
            assert_eq!((response.status, &*response.body), (200, &error[..]), "{request:02x?}");
            assert_eq!(response.field("content-type"), Some("application/ocsp-response"));
            assert_eq!(response.field("cache-control"), Some("no-store"));
        }
    }

    pub fn malformed(&self, request: &[u8]) {
        self.refused(request, MALFORMED_REQUEST);
    }
}

impl Deref for Served {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

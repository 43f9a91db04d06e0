//! A server on port 0.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use sekisho::http::{Documents, Options, Readiness, Server, Site};
use sekisho::signer::{Lane, Pool};
use sekisho::store::Clock;

use crate::client::{self, Response};
use crate::responder::{SignsWith, World};

pub const MAX_AGE: u64 = 60;

pub struct Served {
    pub world: World,
    pub site: Arc<Site>,
    pub reasons: Arc<Mutex<Vec<String>>>,
    pub warnings: Arc<Mutex<Vec<String>>>,
    pub server: Server,
}

impl Served {
    pub fn start() -> Self {
        Self::with(World::new(SignsWith::P256, 100), options())
    }

    pub fn with(world: World, options: Options) -> Self {
        Self::with_max_age(world, options, Duration::from_secs(MAX_AGE))
    }

    pub fn with_max_age(world: World, options: Options, max_age: Duration) -> Self {
        let (reasons, warnings) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (told, warned) = (Arc::clone(&reasons), Arc::clone(&warnings));
        let site = Arc::new(Site {
            responder: Arc::clone(&world.responder),
            clock: Clock::system(),
            documents: ArcSwap::from_pointee(Documents::default()),
            checkpoint: arc_swap::ArcSwapOption::empty(),
            readiness: Box::new(move || Readiness {
                reasons: told.lock().unwrap().clone(),
                warnings: warned.lock().unwrap().clone(),
            }),
            max_age,
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(listener, Arc::clone(&site), options).unwrap();
        Self { world, site, reasons, warnings, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        client::ask(self.address(), request)
    }
}

impl Deref for Served {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Keeps the pool's only thread busy until something is dropped.
pub fn hold(pool: &Pool) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    pool.place(Lane::Miss).unwrap().submit(Box::new(move || {
        began.send(()).unwrap();
        let _ = released.recv();
    }));
    begun.recv().unwrap();
    release
}

pub fn options() -> Options {
    Options { cores: NonZeroUsize::new(2).unwrap(), ..Options::default() }
}

pub const MALFORMED_REQUEST: &[u8] = &[0x30, 3, 10, 1, 1];
pub const TRY_LATER: &[u8] = &[0x30, 3, 10, 1, 3];

pub fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

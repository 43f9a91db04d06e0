//! Behind nginx with the configuration that is shipped: what it hands on, and what it keeps.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::alone;
use crate::answer::{GOOD, Look, REVOKED};
use crate::client::{get, post, with_method};
use crate::pipe::Pipe;
use crate::responder::{SignsWith, World, base64};
use crate::service::{DEADLINE, signal};
use crate::site::{Served, options};
use crate::spellings::spellings;

/// Requests in one write.
const DEPTH: usize = 16;

/// nginx before a server; ends when dropped.
struct Nginx {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// nginx cannot say which port it was given: it gets one that was free a moment ago, and another if that
    /// was taken meanwhile.
    fn before(served: &Served) -> Self {
        (0..10).find_map(|_| Self::on_a_free_port(served)).expect("nginx found no free port")
    }

    /// None when somebody else was faster.
    fn on_a_free_port(served: &Served) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = directory.path();
        fs::write(path.join("sekisho.conf"), shipped(path, address, served.address())).unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let user = if is_root { "user root;\n" } else { "" };
        let whole = format!(
            "{user}daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log;\n\
             events {{ worker_connections 256; }}\nhttp {{\n\
             client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\nkeepalive_requests 1000000;\n\
             include sekisho.conf;\n}}\n"
        );
        fs::write(path.join("nginx.conf"), whole).unwrap();
        // Not on everybody's path.
        let installed = Path::new("/usr/sbin/nginx");
        let program = if installed.exists() { installed } else { Path::new("nginx") };
        let mut command = Command::new(program);
        command.arg("-p").arg(path).args(["-c", "nginx.conf", "-e", "error.log"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("nginx: {error}; tests/run installs it"));
        let mut nginx = Self { child, directory, address };
        nginx.comes_to_listen().then_some(nginx)
    }

    /// It writes its process id when it listens.
    fn comes_to_listen(&mut self) -> bool {
        let file = |name: &str| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        let began = Instant::now();
        while !file("nginx.pid").ends_with('\n') {
            let log = file("error.log");
            if let Some(ended) = self.child.try_wait().unwrap() {
                assert!(log.contains("Address already in use"), "{ended} {log}");
                return false;
            }
            assert!(began.elapsed() < DEADLINE, "{log}");
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// How often its log says this of the cache.
    fn cache_said(&self, word: &str) -> usize {
        let log = fs::read_to_string(self.directory.path().join("sekisho.log")).unwrap();
        log.lines().filter(|line| line.ends_with(word)).count()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers; killed, it would leave them.
        if self.child.try_wait().unwrap().is_none() {
            signal("TERM", self.child.id());
        }
        drop(self.child.wait());
    }
}

/// The configuration as it is shipped, but for addresses and places of files.
fn shipped(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx.conf");
    let mut text = fs::read_to_string(file).unwrap();
    let place = directory.display();
    for (shipped, here) in [
        ("server 127.0.0.1:8080;", format!("server {upstream};")),
        ("listen 80;", format!("listen {listen};")),
        ("/var/cache/nginx/sekisho", format!("{place}/cache")),
        ("/var/log/nginx/sekisho.log", format!("{place}/sekisho.log")),
        ("/var/log/nginx/sekisho-error.log", format!("{place}/sekisho-error.log")),
    ] {
        assert_eq!(text.matches(shipped).count(), 1, "{shipped} is no longer in deploy/nginx.conf");
        text = text.replace(shipped, &here);
    }
    text
}

fn path(served: &Served, serial: u64) -> String {
    format!("/{}", base64(&served.request(serial, None)))
}

/// The certStatus of each serial, asked for by GET through nginx.
fn statuses(pipe: &mut Pipe, served: &Served, serials: &[u64]) -> Vec<u8> {
    let mut statuses = Vec::new();
    for serials in serials.chunks(DEPTH) {
        let octets: String = serials.iter().map(|serial| get(&path(served, *serial))).collect();
        pipe.send(octets.as_bytes());
        for serial in serials {
            let response = pipe.response(false).unwrap();
            let (cert_id, status) = Look::into(response.body).unwrap().singles[0];
            assert!(cert_id == served.cert_id(*serial), "another's answer");
            statuses.push(status);
        }
    }
    statuses
}

#[test]
fn get_through_nginx_is_post_for_every_spelling() {
    let _alone = alone();
    const SERIALS: u64 = 1_900;
    const CONNECTIONS: usize = 16;
    let served = Served::with(World::new(SignsWith::P256, SERIALS), options());
    let nginx = Nginx::before(&served);
    // The base64 of these has `//` in it.
    let slashed = (0..100).map(|n| 0x00ff_ffff_ffff_ffff - n);
    let serials: Vec<u64> = (1..=SERIALS).chain(slashed).collect();
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let serials = serials.iter().skip(number).step_by(CONNECTIONS);
            let (served, nginx) = (&served, nginx.address);
            scope.spawn(move || {
                let (mut direct, mut pipe) = (Pipe::connect(served.address()), Pipe::connect(nginx));
                serials.for_each(|serial| compare(&mut direct, &mut pipe, served, *serial));
            });
        }
    });
    let answered = serials.len() * spellings("").len();
    assert!(nginx.cache_said("MISS") > answered / 2, "nothing was kept");
}

/// Posts to the server, then posts and gets the same through nginx.
fn compare(direct: &mut Pipe, pipe: &mut Pipe, served: &Served, serial: u64) {
    let request = served.request(serial, None);
    direct.send(&post("/", &request));
    let posted = direct.response(false).unwrap().body.to_vec();
    assert!(Look::into(&posted).unwrap().singles[0].0 == served.cert_id(serial));
    let text = base64(&request);
    assert!(serial <= u64::from(u32::MAX) || text.contains("//"));
    let spellings = spellings(&text);
    pipe.send(&post("/ocsp", &request));
    pipe.send(spellings.iter().map(|path| get(path)).collect::<String>().as_bytes());
    assert!(pipe.response(false).unwrap().body == posted);
    for path in &spellings {
        let response = pipe.response(false).unwrap();
        assert!(response.status == 200 && response.body == posted, "{path}");
    }
}

#[test]
fn rfc9111_s4_2_nginx_gives_no_answer_past_its_max_age() {
    let _alone = alone();
    const MAX_AGE: Duration = Duration::from_secs(2);
    const SERIALS: u64 = 400;
    let world = World::new(SignsWith::P256, SERIALS);
    let served = Served::with_max_age(world, options(), MAX_AGE);
    let nginx = Nginx::before(&served);
    let mut pipe = Pipe::connect(nginx.address);
    let good: Vec<u64> = (1..=SERIALS).filter(|serial| !serial.is_multiple_of(20)).collect();
    // They are kept for seconds: until enough of them came from the cache, on a slow machine too.
    let began = Instant::now();
    while nginx.cache_said("HIT") <= good.len() {
        assert!(began.elapsed() < DEADLINE, "nothing came from the cache");
        assert!(statuses(&mut pipe, &served, &good).iter().all(|status| *status == GOOD));
    }
    good.iter().for_each(|serial| served.revoke(*serial));
    let revoked_at = Instant::now();
    // POST is never kept.
    pipe.send(&post("/", &served.request(good[0], None)));
    assert_eq!(Look::into(pipe.response(false).unwrap().body).unwrap().singles[0].1, REVOKED);
    // Seconds are counted whole: one more for an answer taken at the end of one.
    let mut stale = 0;
    while revoked_at.elapsed() < MAX_AGE * 3 {
        let asked_at = revoked_at.elapsed();
        let statuses = statuses(&mut pipe, &served, &good);
        let old = statuses.iter().filter(|status| **status == GOOD).count();
        assert!(old == 0 || asked_at <= MAX_AGE + Duration::from_secs(1), "{old} stale at {asked_at:?}");
        stale += old;
        thread::sleep(Duration::from_millis(100));
    }
    println!("{stale} answers from before the revocation within max-age, none after");
}

#[test]
fn what_may_not_be_kept_is_not_kept_by_nginx() {
    let _alone = alone();
    let served = Served::with(World::new(SignsWith::P256, 100), options());
    let nginx = Nginx::before(&served);
    let mut pipe = Pipe::connect(nginx.address);
    let with_nonce = format!("/{}", base64(&served.request(1, Some(&[7; 16]))));
    for path in [&*with_nonce, "/MFEw", "/M*"] {
        for _ in 0..2 {
            pipe.send(get(path).as_bytes());
            let response = pipe.response(false).unwrap();
            assert_eq!((response.status, response.field("cache-control")), (200, Some("no-store")), "{path}");
        }
    }
    assert_eq!(nginx.cache_said("HIT"), 0);
    // Validators come through, and HEAD has a GET's fields.
    let path = path(&served, 1);
    pipe.send(get(&path).as_bytes());
    let full = pipe.response(false).unwrap();
    let (etag, modified) =
        (full.field("etag").unwrap().to_owned(), full.field("last-modified").unwrap().to_owned());
    pipe.send(with_method("HEAD", &path, &[]).as_bytes());
    let head = pipe.response(true).unwrap();
    assert_eq!((head.field("etag"), head.field("last-modified")), (Some(&*etag), Some(&*modified)));
    pipe.send(with_method("GET", &path, &[("If-None-Match", &etag)]).as_bytes());
    assert_eq!(pipe.response(false).unwrap().status, 304);
}

//! The power is cut at random points: whatever was acknowledged is there afterwards.
//!
//! The data directory lies on an ext4 of its own, in an image on a loop device. The cut is
//! `EXT4_IOC_SHUTDOWN` without a flush of the file system's log: from then on nothing reaches the disk, and
//! what was in memory alone is lost. The service is killed, the file system mounted anew, as after the power
//! came back, and the service started, for which the machine seems to have booted. Needs root: where it cannot run it says so, by name, and fails if
//! `SEKISHO_POWER_CUTS` asked for it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::service::{DEADLINE, SEKISHO, Service, run};
use super::{CLIENTS, Ledger, application, assert_revoked, check_crl, check_ocsp, post, said, status};

/// Cuts in the fast suite; `SEKISHO_POWER_CUTS=20` for the long form.
const CUTS: usize = 3;

/// Changes that a round acknowledges before its cut, from the first on.
const FEWEST: usize = 40;
const SPREAD: usize = 900;

/// Octets of the image; it is sparse.
const IMAGE: u64 = 2 << 30;

/// Says when it has the file system open, and cuts at the first octet it is sent: `EXT4_IOC_SHUTDOWN` with
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const CUT: &str = r"
import fcntl, os, struct, sys
fs = os.open(sys.argv[1], os.O_RDONLY)
print('open', flush=True)
sys.stdin.buffer.read(1)
fcntl.ioctl(fs, 0x8004587d, struct.pack('I', 2))
";

/// What a client does with an answer depends on whether it came before the cut began.
#[derive(Default)]
struct Known {
    ledger: Ledger,
    /// From here on nothing counts as acknowledged: a sync that the cut meets halfway can return without an
    /// error.
    cutting: bool,
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    let asked = std::env::var("SEKISHO_POWER_CUTS").ok();
    let cuts = asked.as_deref().map_or(CUTS, |cuts| cuts.parse().expect("SEKISHO_POWER_CUTS is a number"));
    let mut disk = match LoopDisk::new() {
        Ok(disk) => disk,
        Err(why) => return did_not_run(&why, asked.is_some()),
    };
    let data = disk.mounted.join("data");
    Service::init(&data);
    let known = Arc::new(Mutex::new(Known::default()));
    let mut service = Some(disk.serve(&data));
    service.as_ref().unwrap().wait_ready();
    // The first certificate of a municipality waits for its CRL; the rounds are too short for it.
    assert!(post(&data.join("admin.sock"), "/v1/issue", &application("first")).is_some());
    let (mut under_load, mut counted, mut doubtful, mut torn) = (Duration::ZERO, 0, 0, 0);
    for round in 1..=cuts {
        let cut = round_until_cut(&disk, &mut service, &known, round);
        under_load += cut.under_load;
        counted += cut.counted;
        doubtful += cut.doubtful;
        disk.comes_back();
        let started = disk.serve(&data);
        torn += check_all(&started, &known);
        service = Some(started);
    }
    let service = service.unwrap();
    let known = known.lock().unwrap();
    let revoked = known.ledger.revoked.len();
    tell(&format!(
        "{cuts} power cuts: {} certificates and {revoked} revocations acknowledged, {:.0} changes a second; {doubtful} \
         requests open at a cut, {torn} frames torn",
        known.ledger.issued.len(),
        counted as f64 / under_load.as_secs_f64()
    ));
    assert!(revoked > cuts * FEWEST / 4, "there was something to lose: {revoked}");
    assert!(doubtful >= cuts, "the cuts missed the requests: {doubtful}");
    let socket = data.join("admin.sock");
    known.ledger.revoked.iter().for_each(|(serial, told)| assert_revoked(&socket, serial, told));
    check_ocsp(&service, &known.ledger);
    check_crl(&service, &known.ledger);
}

/// Told past the harness, which keeps to itself what a test that passes prints.
fn tell(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn did_not_run(why: &str, asked: bool) {
    let text = format!("no_power_cut_loses_what_was_acknowledged DID NOT RUN: {why}");
    assert!(!asked, "{text}");
    tell(&text);
}

/// What a round came to.
struct Cut {
    counted: usize,
    under_load: Duration,
    doubtful: usize,
}

/// Sixteen clients issue and revoke until the power is cut; then the service is killed.
fn round_until_cut(
    disk: &LoopDisk,
    service: &mut Option<Service>,
    known: &Arc<Mutex<Known>>,
    round: usize,
) -> Cut {
    let socket = service.as_ref().unwrap().data.join("admin.sock");
    let switch = Switch::at(&disk.mounted);
    let before = {
        let mut known = known.lock().unwrap();
        known.cutting = false;
        known.ledger.acknowledged
    };
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (socket, known, stop) = (socket.clone(), Arc::clone(known), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut open = 0;
                for step in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    match one_life(&socket, &known, &format!("{round}-{client}-{step}")) {
                        Life::Whole => {}
                        Life::Cut => open = 1,
                        Life::Gone => break,
                    }
                }
                open
            })
        })
        .collect();
    let acknowledged = || known.lock().unwrap().ledger.acknowledged - before;
    wait_for(|| acknowledged() > 0);
    let (since, already) = (Instant::now(), acknowledged());
    // Counted in acknowledgements because machines differ in pace, and then somewhere within a sync, never
    // the same twice.
    wait_for(|| acknowledged() >= FEWEST + round * 367 % SPREAD);
    std::thread::sleep(Duration::from_micros(u64::try_from(round * 3_701 % 12_600).unwrap()));
    let counted = {
        let mut known = known.lock().unwrap();
        known.cutting = true;
        known.ledger.acknowledged - before - already
    };
    let under_load = since.elapsed();
    switch.cut();
    service.take().unwrap().kill();
    stop.store(true, Ordering::SeqCst);
    let doubtful = clients.into_iter().map(|client| client.join().unwrap()).sum();
    Cut { counted, under_load, doubtful }
}

fn wait_for(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// How far a client came with a certificate.
enum Life {
    /// Issued and revoked, both acknowledged.
    Whole,
    /// An answer came after the cut had begun, or none: nobody may count on it.
    Cut,
    /// Nothing was asked any more.
    Gone,
}

/// Issues a certificate and revokes it right behind.
fn one_life(socket: &Path, known: &Mutex<Known>, key: &str) -> Life {
    if known.lock().unwrap().cutting {
        return Life::Gone;
    }
    let Some(issued) = post(socket, "/v1/issue", &application(&format!("i{key}"))) else { return Life::Cut };
    let serial = issued["certificates"][0]["serial"].as_str().unwrap().to_owned();
    {
        let mut known = known.lock().unwrap();
        if known.cutting {
            return Life::Cut;
        }
        assert!(known.ledger.issued.insert(serial.clone()), "serial {serial} was issued twice");
        known.ledger.in_doubt.insert(serial.clone());
        known.ledger.acknowledged += 1;
    }
    let certificate = json!({"authority": "sign", "serial": serial});
    let body = json!({"certificate": certificate, "reason": "superseded", "key": format!("r{key}"), "comment": said(&serial)});
    let Some(revoked) = post(socket, "/v1/revoke", &body) else { return Life::Cut };
    let told = (revoked["position"].as_u64().unwrap(), revoked["revoked_at"].as_str().unwrap().to_owned());
    let mut known = known.lock().unwrap();
    if known.cutting {
        return Life::Cut;
    }
    known.ledger.in_doubt.remove(&serial);
    known.ledger.acknowledged += 1;
    known.ledger.revoked.insert(serial, told);
    Life::Whole
}

/// Everything acknowledged is in the records, in OCSP and in the next CRL; nobody is needed. How many
/// frames were torn: such are cut off and told, and somebody may look, but nothing waits for it.
fn check_all(service: &Service, known: &Mutex<Known>) -> usize {
    service.wait_ready();
    let known = &known.lock().unwrap().ledger;
    let socket = service.data.join("admin.sock");
    known.revoked.iter().for_each(|(serial, told)| assert_revoked(&socket, serial, told));
    for serial in &known.issued {
        let state = status(&socket, serial);
        let is_open = known.revoked.contains_key(serial) || known.in_doubt.contains(serial);
        assert!(is_open || state["status"] == "good", "{serial} {state}");
    }
    check_ocsp(service, known);
    check_crl(service, known);
    let checked = service.sekisho(&["check", "--json"]);
    let state: Value = serde_json::from_str(&checked.stdout).unwrap_or_else(|_| panic!("{}", checked.text()));
    let findings = state["findings"].as_array().unwrap();
    let is_torn = |finding: &&Value| finding.as_str().unwrap().contains("journal seen");
    let torn = findings.iter().filter(is_torn).count();
    assert_eq!(findings.len(), torn, "{state}");
    if torn > 0 {
        assert_eq!(service.sekisho(&["journal", "seen"]).code, Some(0));
    }
    torn
}

/// Becomes the command behind a boot id of its own, as the service would see after the power came back:
/// what a start makes of the journal's end depends on it.
const BOOTED: &str = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";

/// An ext4 in an image of its own, on a loop device. When dropped nothing of it stays mounted.
struct LoopDisk {
    home: tempfile::TempDir,
    mounted: PathBuf,
    boots: usize,
}

impl LoopDisk {
    /// Makes and mounts it, and tries all that the test will need; or why that cannot be done here.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it mounts an ext4 of its own, for which it must be root".to_owned());
        }
        let home = tempfile::Builder::new().prefix("sekisho-power-cut-").tempdir().unwrap();
        let mounted = home.path().join("mounted");
        std::fs::create_dir(&mounted).unwrap();
        let image = std::fs::File::create(home.path().join("image")).unwrap();
        image.set_len(IMAGE).unwrap();
        let mut disk = Self { home, mounted, boots: 0 };
        tool("mkfs.ext4", &["-q", "-F", disk.image().to_str().unwrap()])?;
        disk.mount()?;
        let boot_id = disk.boot_id();
        tool("unshare", &["--mount", "sh", "-c", BOOTED, boot_id.to_str().unwrap(), "true"])?;
        tool("python3", &["-c", "import fcntl"])?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }

    fn mount(&mut self) -> Result<(), String> {
        self.boots += 1;
        let boot_id = format!("00000000-0000-4000-8000-{:012}\n", self.boots);
        std::fs::write(self.boot_id(), boot_id).unwrap();
        let (image, mounted) = (self.image(), self.mounted.to_str().unwrap());
        // The loop device goes with the mount.
        tool("mount", &["-t", "ext4", "-o", "loop", image.to_str().unwrap(), mounted])
    }

    fn boot_id(&self) -> PathBuf {
        self.home.path().join("boot_id")
    }

    /// `serve`, in a machine that booted when the disk was mounted.
    fn serve(&self, data: &Path) -> Service {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", BOOTED]).arg(self.boot_id()).arg(SEKISHO);
        Service::serve_by(command, data, |_| {})
    }

    /// The power is back: what was not on the disk is gone.
    fn comes_back(&mut self) {
        let mounted = self.mounted.to_str().unwrap();
        tool("umount", &[mounted]).unwrap();
        // The killed process may hold it a moment longer, and mounted so soon it would still be cut off.
        let image = self.image();
        wait_for(|| run("losetup", &["--associated", image.to_str().unwrap()]).stdout.is_empty());
        self.mount().unwrap();
        std::fs::write(self.mounted.join("power"), "on").unwrap();
    }
}

/// Runs a program of the system; or why it cannot be done.
fn tool(program: &str, arguments: &[&str]) -> Result<(), String> {
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("{program}: {error}; install e2fsprogs, mount and util-linux"))?;
    let text = String::from_utf8_lossy(&ran.stderr).trim().replace('\n', "; ");
    ran.status.success().then_some(()).ok_or_else(|| format!("{program} failed: {text}"))
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let mounted = self.mounted.to_str().unwrap();
        if run("mountpoint", &["-q", mounted]).code == Some(0) && run("umount", &[mounted]).code != Some(0) {
            // Somebody has a file open still; the mount goes with it.
            drop(run("umount", &["--lazy", mounted]));
        }
    }
}

/// Another process that holds the file system open, so that the cut takes microseconds.
struct Switch {
    process: Child,
    told: ChildStdin,
}

impl Switch {
    fn at(mounted: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", CUT])
            .arg(mounted)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let told = process.stdin.take().unwrap();
        process.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
        Self { process, told }
    }

    fn cut(mut self) {
        self.told.write_all(b"!").unwrap();
        self.told.flush().unwrap();
        assert!(self.process.wait().unwrap().success(), "the file system was not shut down");
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

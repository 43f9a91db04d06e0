//! The machine a bench runs on, and what a process used of it.
#![allow(dead_code, reason = "shared by benches, none of which uses all of it")]

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

/// As the service has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One line: processor, cores, kernel, compiler. Found out once, as who has moved to a core sees
/// only that one.
pub fn description() -> String {
    static DESCRIPTION: OnceLock<String> = OnceLock::new();
    DESCRIPTION.get_or_init(describe).clone()
}

fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("{model}, {cores} cores, Linux {}, {}", kernel.trim(), rustc.unwrap_or_default())
}

/// Says so when the cores have other work: what is measured beside it is not worth much.
pub fn print_company() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|figure| figure.parse().ok()).unwrap_or(0.0);
    if minute > BUSY {
        println!("not alone: the load was {minute} in the last minute; let the machine come to rest first");
    }
}

/// Load average beyond what a machine at rest has.
const BUSY: f64 = 1.0;

/// Processor time of all threads of a process, in nanoseconds.
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the server runs");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The same with the processes it started.
pub fn cpu_ns_with_children(pid: u32) -> u64 {
    cpu_ns(pid) + children(pid).into_iter().map(cpu_ns_with_children).sum::<u64>()
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// Field 4 of /proc/PID/stat, behind the name, which may hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The time, as RFC 3339 has it, UTC.
pub fn date() -> String {
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).expect("a nanosecond");
    now.format(&time::format_description::well_known::Rfc3339).expect("a date of this era")
}

/// `taskset -c CORE` before a command line, where it is installed and there are two cores.
pub fn pinned(core: usize, program: &std::path::Path) -> Command {
    if can_pin() {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Moves this process to a core.
pub fn pin_self(core: usize) {
    if can_pin() {
        let pid = std::process::id().to_string();
        let _ = Command::new("taskset").args(["-a", "-cp", &core.to_string(), &pid]).output();
    }
}

/// Found out once: who has moved to a core sees only that one.
pub fn can_pin() -> bool {
    static CAN_PIN: OnceLock<bool> = OnceLock::new();
    *CAN_PIN.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores >= 2 && Command::new("taskset").arg("--version").output().is_ok()
    })
}

/// The most memory this process has had resident.
pub fn peak_bytes() -> u64 {
    peak_bytes_of("self").unwrap()
}

/// As [`peak_bytes`], of another process.
pub fn peak_bytes_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

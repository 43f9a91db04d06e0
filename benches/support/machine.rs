//! The machine a bench runs on, and what a process used of it.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

/// One line: processor, cores, kernel, compiler.
pub fn description() -> String {
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

/// Processor time of all threads of a process, in nanoseconds.
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the server runs");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum()
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

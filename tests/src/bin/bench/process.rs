//! What the kernel tells of a process: CPU time and memory. Linux only; elsewhere the columns stay empty.

use std::fs;
use std::time::Duration;

/// Ticks a second in `/proc/PID/stat`: fixed on every Linux that this runs on.
const TICKS: u64 = 100;

/// CPU time of a process, user and system, all its threads.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold spaces; the fields after its parenthesis start with the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

/// CPU time of a process's children, each with all its threads: PostgreSQL serves each connection by one.
pub(crate) fn children_cpu_time(parent: u32) -> Option<Duration> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent)
    };
    Some(pids.filter(is_child).filter_map(cpu_time).sum())
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_time() -> Option<Duration> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}

/// The most memory that a process has had resident, in MB.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.div_ceil(1024))
}

//! `cargo xtask bench --slow-disk`: how many times a lone writer's rate many writers reach, by how long the disk takes to sync.
//!
//! The server is the same program. strace makes each of its syncs take longer by a certain time, and stops it for nothing else
//! (`--seccomp-bpf`).

use std::error::Error;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::{Server, TOKEN, binary, workspace};

use crate::disk;
use crate::load::Measured;
use crate::workload::{Population, Row};

/// What is added to a sync: nothing; a good disk over a network; a common one; a disk that spins.
const DELAYS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(3), Duration::from_millis(8)];
/// Users that are there.
const USERS: usize = 1_000;
/// How long one measurement may take.
const TIME: Duration = Duration::from_secs(2);

pub(crate) fn bench() -> Result<(), Box<dyn Error>> {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Err("strace is not installed: `apt-get install strace`".into());
    }
    let mut text =
        "| a sync takes | operation | 1 writer | p50 | 32 | 64 | 64 ÷ 1 |\n|--:|---|--:|--:|--:|--:|--:|\n".to_owned();
    for delay in DELAYS {
        let data = DataDirectory::new("bench-slow-disk");
        // Seeded at the disk's own speed.
        let server = Server::with_data(data.path());
        let population = Population::seed(server.address(), USERS)?;
        server.terminate();
        server.wait();
        disk::settle()?;
        let syncs = disk::syncs(data.path())?;
        let own = syncs.get(syncs.len() / 2).copied().unwrap_or_default();
        let server = delayed(&data, delay);
        for row in [Row::PatchAttribute, Row::Post] {
            let mut measured = Vec::new();
            for connections in [1, 32, 64] {
                let at = (server.address(), server.pid());
                let one = population.measure(row, connections, at, TIME)?;
                if let Some(failure) = &one.failure {
                    return Err(format!("{} failed: {failure}", row.name(USERS)).into());
                }
                measured.push(one);
            }
            let rates: Vec<f64> = measured.iter().map(Measured::rate).collect();
            let p50 = measured[0].percentile(0.5).as_secs_f64() * 1e3;
            let (sync, name) = ((own + delay).as_secs_f64() * 1e3, row.name(USERS));
            writeln!(
                text,
                "| {sync:.1} ms | {name} | {:.0}/s | {p50:.1} ms | {:.0}/s | {:.0}/s | {:.1} |",
                rates[0],
                rates[1],
                rates[2],
                rates[2] / rates[0]
            )?;
        }
        server.terminate();
        server.wait();
    }
    println!("{text}");
    std::fs::write(workspace().join("target").join("bench-slow-disk.md"), text)?;
    eprintln!("bench: written to target/bench-slow-disk.md");
    Ok(())
}

/// The server on this data, each of whose syncs takes so much longer.
fn delayed(data: &DataDirectory, delay: Duration) -> Server {
    let mut command = if delay.is_zero() {
        Command::new(binary())
    } else {
        let mut strace = Command::new("strace");
        // -D: the server stays this process's child, and the tracer is none of it.
        strace.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]);
        strace.arg("-e").arg(format!("inject=fdatasync,fsync:delay_exit={}", delay.as_micros())).arg(binary());
        strace
    };
    command.args(["serve", "--listen", "127.0.0.1:0", "--token", TOKEN, "--data"]).arg(data.path());
    Server::spawn(command)
}

//! `cargo xtask bench`: the server under load, held against the same core without WebAssembly and against an empty
//! answer of the same HTTP stack. Never fails for being slow: the report says what is met and what is not.

// Rates and shares are approximate by nature.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod components;
mod disk;
mod embedders;
mod load;
mod native;
#[cfg(unix)]
mod network;
#[cfg(unix)]
mod postgres;
mod process;
mod report;
#[cfg(target_os = "linux")]
mod slow_disk;
mod spin;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::{Server, workspace};

use crate::report::{Cell, Memory, Report, Way};
use crate::workload::{Population, Row, grouped};

/// How often the whole table is measured; a cell holds all rounds.
const ROUNDS: u32 = 3;

const USAGE: &str = "usage: cargo xtask bench [--quick | --scale | --spin | --embedders] [part of a row's name]\n       cargo xtask bench [--quick] --postgres\n       cargo xtask bench --slow-disk\n       cargo xtask bench --components A.wasm B.wasm …";

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A thousand users, for a first impression.
    Quick,
    /// A thousand and a hundred thousand users.
    Usual,
    /// A thousand and a million users.
    Scale,
}

impl Extent {
    fn sizes(self) -> &'static [usize] {
        match self {
            Self::Quick => &[1_000],
            Self::Usual => &[1_000, 100_000],
            Self::Scale => &[1_000, 1_000_000],
        }
    }

    /// How long a row is measured, all rounds together.
    fn time(self) -> Duration {
        Duration::from_secs(if self == Self::Quick { 1 } else { 3 })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        // How the bench runs itself as the native server.
        ["--native", data] => native::serve(Path::new(data)),
        #[cfg(unix)]
        ["--postgres"] => postgres::bench(false),
        #[cfg(unix)]
        ["--quick", "--postgres"] => postgres::bench(true),
        [] => bench(Extent::Usual, ""),
        [rows] if !rows.starts_with('-') => bench(Extent::Usual, rows),
        ["--quick"] => bench(Extent::Quick, ""),
        ["--quick", rows] if !rows.starts_with('-') => bench(Extent::Quick, rows),
        ["--scale"] => bench(Extent::Scale, ""),
        ["--scale", rows] if !rows.starts_with('-') => bench(Extent::Scale, rows),
        #[cfg(target_os = "linux")]
        ["--slow-disk"] => slow_disk::bench(),
        ["--spin"] => spin::bench(),
        ["--embedders"] => embedders::bench(),
        ["--components", ref files @ ..] => components::bench(files),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(extent: Extent, rows: &str) -> Result<(), Box<dyn Error>> {
    let (sizes, time) = (extent.sizes(), extent.time());
    let wanted: Vec<Row> = Row::ALL.into_iter().filter(|row| row.name(sizes[0]).contains(rows)).collect();
    if wanted.is_empty() {
        return Err(format!("no row's name contains `{rows}`; {USAGE}").into());
    }
    let mut report = Report::new(extent);
    for connections in [1, 32] {
        report.generator.push((connections, load::own_cost(connections, time)?));
    }
    for &size in sizes {
        measure(&mut report, size, &wanted, time)?;
    }
    let markdown = report.markdown();
    println!("{markdown}");
    let path = workspace().join("target").join("bench.md");
    std::fs::write(&path, markdown)?;
    eprintln!("bench: written to target/bench.md");
    Ok(())
}

/// One tenant's size: the server, with and without lines about requests, and the native core side by side, each on its own copy of
/// the same data.
fn measure(report: &mut Report, size: usize, rows: &[Row], time: Duration) -> Result<(), Box<dyn Error>> {
    let data = DataDirectory::new(&format!("bench-{size}"));
    let server = Server::with_data(data.path());
    eprintln!("bench: {} users: seeding", grouped(size));
    let population = Population::seed(server.address(), size)?;
    remember(report, Way::Component, size, "seeding", &server);
    server.terminate();
    server.wait();

    let copy_for = |whom: &str| -> std::io::Result<DataDirectory> {
        let copy = DataDirectory::new(&format!("bench-{size}-{whom}"));
        for file in std::fs::read_dir(data.path())? {
            let file = file?;
            std::fs::copy(file.path(), copy.path().join(file.file_name()))?;
        }
        Ok(copy)
    };
    let (quiet_copy, copy) = (copy_for("quiet")?, copy_for("native")?);
    // What seeding has left for the kernel to write would be written while the first rows are measured.
    disk::settle()?;
    report.disk.push((size, disk::syncs(data.path())?));
    let server = Server::with_data(data.path());
    let quiet = Server::with_data_and(quiet_copy.path(), |command| command.env("RUST_LOG", "warn"));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--native").arg(copy.path());
    let native = Server::spawn(command);

    // What disturbs the machine for a while disturbs both, and one round only.
    for round in 1..=ROUNDS {
        eprintln!("bench: {} users: round {round} of {ROUNDS}", grouped(size));
        disk::warm(data.path())?;
        disk::warm(quiet_copy.path())?;
        disk::warm(copy.path())?;
        for &row in rows {
            for &connections in row.connections() {
                for (way, server) in [(Way::Component, &server), (Way::Quiet, &quiet), (Way::Native, &native)] {
                    // An empty answer has no core in it, and what lines cost is told of many connections.
                    if way == Way::Component || (row != Row::Empty && (way == Way::Native || connections == 32)) {
                        let at = (server.address(), server.pid());
                        let measured = population.measure(row, connections, at, time / ROUNDS)?;
                        report.add(Cell { way, row, size, connections, measured });
                    }
                }
            }
        }
    }
    remember(report, Way::Component, size, "all rows", &server);
    remember(report, Way::Native, size, "all rows", &native);
    Ok(())
}

fn remember(report: &mut Report, way: Way, size: usize, after: &'static str, server: &Server) {
    if let Some(peak) = process::peak_memory(server.pid()) {
        report.memory.push(Memory { way, size, after, peak });
    }
}

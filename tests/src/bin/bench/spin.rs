//! `cargo xtask bench --spin`: the component on Spin beside an empty component there, in one run. By `spin up` where there
//! is a `spin` command, else by the stand-in.

use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::{TOKEN, workspace};
use scimwell_tests::spin::{Way, find_spin};

use crate::load::{Load, Make, Measured, Sink, run};
use crate::report::columns_of;
use crate::workload::{pick, post, request, user};

/// Users of the tenant.
const USERS: usize = 1_000;
/// How often the table is measured; a cell holds all rounds.
const ROUNDS: u32 = 3;
/// How long a cell is measured in a round.
const TIME: Duration = Duration::from_secs(1);
/// Connections at once.
const CONNECTIONS: [usize; 2] = [1, 8];
/// What a GET may cost, in empty answers.
const BAR: f64 = 2.0;

pub(crate) fn bench() -> Result<(), Box<dyn Error>> {
    let (way, what) = match find_spin() {
        Ok(version) => (Way::Spin("spin.toml"), version),
        Err(why) => {
            let program = format!("spin-stand-in{}", std::env::consts::EXE_SUFFIX);
            let program = std::env::current_exe()?.with_file_name(program);
            (Way::StandIn(program), format!("the stand-in ({why})"))
        }
    };
    let (data, nothing) = (DataDirectory::new("bench-spin"), DataDirectory::new("bench-spin-empty"));
    let component = way.start(data.path(), &[("token", TOKEN.to_owned())]);
    let empty = way.start_bare("empty.wasm", nothing.path());
    let statement = way.start_bare("statement.wasm", data.path());
    eprintln!("bench: on {what}: seeding");
    let users = Arc::new(seed(component.address())?);
    let serial = Arc::new(Mutex::new(0_u64));
    let get: Make =
        Arc::new(move |n, out| request(out, "GET", &format!("/Users/{}", users[pick(n, users.len())]), b""));
    let create: Make = Arc::new(move |_, out| {
        let mut serial = serial.lock().unwrap_or_else(PoisonError::into_inner);
        *serial += 1;
        post(out, "/Users", &user(&format!("new{serial}")));
    });
    let nothing: Make = Arc::new(|_, out| request(out, "GET", "/Users", b""));
    let rows = [
        ("empty component", empty.address(), empty.worker(), &nothing),
        ("empty, with one SQLite statement", statement.address(), statement.worker(), &nothing),
        ("GET by id", component.address(), component.worker(), &get),
        ("POST", component.address(), component.worker(), &create),
    ];
    let mut cells: Vec<(&str, usize, Measured)> = Vec::new();
    for round in 1..=ROUNDS {
        eprintln!("bench: on {what}: round {round} of {ROUNDS}");
        for connections in CONNECTIONS {
            for (name, address, server, make) in rows {
                let load =
                    Load { address, connections, requests: u64::MAX, time: TIME, make: make.clone(), sink: None };
                let measured = run(&load, Some(server))?;
                match cells.iter_mut().find(|(row, at, _)| (*row, *at) == (name, connections)) {
                    Some((_, _, there)) => there.append(measured),
                    None => cells.push((name, connections, measured)),
                }
            }
        }
    }
    let markdown = table(&what, &cells)?;
    println!("{markdown}");
    std::fs::write(workspace().join("target").join("bench-spin.md"), markdown)?;
    eprintln!("bench: written to target/bench-spin.md");
    Ok(())
}

/// Creates the users one after another, as SQLite writes them anyway; their ids.
fn seed(address: std::net::SocketAddr) -> Result<Vec<String>, Box<dyn Error>> {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&ids);
    let sink: Sink = Arc::new(move |_, body| {
        let text = String::from_utf8_lossy(body);
        let id = text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned());
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(id);
    });
    let make: Make = Arc::new(|n, out| post(out, "/Users", &user(&format!("user{n}"))));
    let time = Duration::from_mins(10);
    let measured = run(&Load { address, connections: 1, requests: USERS as u64, time, make, sink: Some(sink) }, None)?;
    if let Some(failure) = measured.failure {
        return Err(format!("seeding failed: {failure}").into());
    }
    let ids = std::mem::take(&mut *ids.lock().unwrap_or_else(PoisonError::into_inner));
    if ids.is_empty() { Err("seeding made no users".into()) } else { Ok(ids) }
}

fn table(what: &str, cells: &[(&str, usize, Measured)]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "On {what}, SQLite, {USERS} users.\n")?;
    writeln!(text, "| Operation | Conn. | op/s | p50 | p99 | CPU | p50 ÷ empty |\n|---|--:|--:|--:|--:|--:|--:|")?;
    for (name, connections, measured) in cells {
        let empty = cells.iter().find(|(row, at, _)| *row == "empty component" && at == connections);
        let ratio = empty.map_or(f64::NAN, |(.., empty)| {
            measured.percentile(0.5).as_secs_f64() / empty.percentile(0.5).as_secs_f64()
        });
        writeln!(text, "| {name} | {connections} | {} {ratio:.2} |", columns_of(measured))?;
        if *name == "GET by id" && *connections == 1 {
            let verdict = if ratio <= BAR { "met" } else { "missed" };
            eprintln!("bench: GET by id at most {BAR} times the p50 of an empty component: {ratio:.2}, {verdict}");
        }
    }
    for (name, connections, measured) in cells.iter().filter(|(.., measured)| measured.failed > 0) {
        let failure = measured.failure.as_deref().unwrap_or_default();
        writeln!(text, "\n**{} requests failed**: {name}, {connections} connections: {failure}", measured.failed)?;
    }
    Ok(text)
}

//! `cargo xtask bench --embedders`: what a GET by id costs inside an application, instance included: in Rust on wasmtime, in
//! Node by jco and in Python by wasmtime-py. One request after another, without HTTP.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scimwell::policy::AllowAll;
use scimwell::storage::Memory;
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider, Request};
use scimwell_tests::server::workspace;
use serde_json::Value;

use crate::workload::user;

/// How long a figure is measured, after as long that is not.
const TIME: Duration = Duration::from_secs(2);

/// The figures of one embedder, in microseconds.
#[derive(Default)]
struct Figures {
    /// From nothing to the first answer: the component is compiled.
    start: Option<f64>,
    /// A GET by a fresh instance.
    fresh: Option<f64>,
    /// A GET by an instance that was used before.
    kept: Option<f64>,
}

pub(crate) fn bench() -> Result<(), Box<dyn Error>> {
    let body = user("bench").to_string();
    let root = workspace();
    eprintln!("bench: Rust, wasmtime");
    let mut rows = vec![("Rust, wasmtime, storage in memory", rust(&body)?)];
    eprintln!("bench: Node, jco");
    let script = root.join("target/node-app/bench.js");
    std::fs::copy(root.join("packages/node/bench/get.js"), &script)?;
    rows.push(("Node, jco, SQLite in memory", script_of(&PathBuf::from("node"), &script, &body)?));
    eprintln!("bench: Python, wasmtime-py");
    let python = root.join("target/python-app/bin/python");
    rows.push((
        "Python, wasmtime-py, SQLite in a file",
        script_of(&python, &root.join("packages/python/bench/get.py"), &body)?,
    ));

    let mut text = format!("A GET of a user of {} bytes in the application's own process.\n\n", body.len());
    writeln!(text, "| | fresh instance | kept instance | start |\n|---|--:|--:|--:|")?;
    for (name, Figures { start, fresh, kept }) in rows {
        let time = |micros: Option<f64>| micros.map_or("–".to_owned(), |micros| format!("{micros:.0} µs"));
        let start = start.map_or("–".to_owned(), |micros| format!("{:.1} s", micros / 1e6));
        writeln!(text, "| {name} | {} | {} | {start} |", time(fresh), time(kept))?;
    }
    println!("{text}");
    let path = root.join("target/bench-embedders.md");
    std::fs::write(&path, text)?;
    eprintln!("bench: written to target/bench-embedders.md");
    Ok(())
}

fn rust(body: &str) -> Result<Figures, Box<dyn Error>> {
    let component = std::fs::read(workspace().join("target/components/scimwell.wasm"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Figures::default();
    for kept_instances in [0, 1] {
        let started = Instant::now();
        let engine = Arc::new(Engine::new(&component, Config { kept_instances, ..Config::default() })?);
        let token = StaticToken::new("bench", "bench");
        let provider = Provider::new(engine, Arc::new(Memory::new()), Arc::new(token), Arc::new(AllowAll));
        let created = runtime.block_on(provider.handle(request("POST", "/Users", body)));
        let created: Value = serde_json::from_slice(&created.body)?;
        figures.start = Some(micros(started.elapsed()));
        let id = created["id"].as_str().ok_or_else(|| format!("no user was created: {created}"))?;
        let measured = runtime.block_on(async {
            gets(&provider, id).await?;
            gets(&provider, id).await
        })?;
        *(if kept_instances == 0 { &mut figures.fresh } else { &mut figures.kept }) = Some(measured);
    }
    Ok(figures)
}

async fn gets(provider: &Provider, id: &str) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    let mut requests = 0_u32;
    while started.elapsed() < TIME {
        let response = provider.handle(request("GET", &format!("/Users/{id}"), "")).await;
        if response.status != 200 {
            return Err(format!("GET: status {}", response.status).into());
        }
        requests += 1;
    }
    Ok(micros(started.elapsed()) / f64::from(requests))
}

fn request(method: &str, target: &str, body: &str) -> Request {
    let headers = [("authorization", "Bearer bench"), ("content-type", "application/scim+json")];
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: body.into(),
        base_url: "http://bench/scim/v2".to_owned(),
        client_certificate_subject: None,
        tenant_hint: None,
        remote_address: None,
    }
}

/// The figures that a script prints, a line each: a name and microseconds.
fn script_of(program: &Path, script: &Path, body: &str) -> Result<Figures, Box<dyn Error>> {
    let output =
        Command::new(program).arg(script).arg(body).output().map_err(|e| format!("{}: {e}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", script.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    let mut figures = Figures::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (name, value) = line.split_once(' ').ok_or_else(|| format!("{} printed {line:?}", script.display()))?;
        let value = Some(value.parse()?);
        match name {
            "start" => figures.start = value,
            "fresh" => figures.fresh = value,
            "kept" => figures.kept = value,
            _ => return Err(format!("{} printed {line:?}", script.display()).into()),
        }
    }
    Ok(figures)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

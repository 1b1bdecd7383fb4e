//! `cargo xtask bench --components A.wasm B.wasm …`: builds of the component against the same core compiled natively, in one
//! process without HTTP and in turn, so that a setting of the compiler is judged by size and speed at once.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use scimwell::policy::AllowAll;
use scimwell::storage::{Memory, Storage};
use scimwell::tokens::StaticToken;
use scimwell::{Config, Engine, Provider, Request};
use scimwell_tests::client;
use scimwell_tests::native::Native;
use scimwell_tests::server::TOKEN;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::native::Bridge;
use crate::workload::user;

/// The best of so many rounds counts: whatever else the machine does only adds.
const ROUNDS: usize = 60;
/// Users that are there.
const USERS: usize = 300;
/// What is measured, and how often in a round.
const OPERATIONS: [(&str, usize); 6] = [
    ("GET", 300),
    ("userName eq", 300),
    ("a filter of four terms", 300),
    ("a page of 100", 6),
    ("PATCH", 60),
    ("POST", 40),
];

/// One build, with users of its own.
struct Build {
    name: String,
    bytes: usize,
    core: Core,
    ids: Vec<String>,
    created: usize,
    best: [f64; OPERATIONS.len()],
}

/// The protocol's core, and what is around it.
enum Core {
    Component(Box<Provider>),
    Native(Native<Bridge>),
}

pub(crate) fn bench(files: &[&str]) -> Result<(), Box<dyn Error>> {
    if files.is_empty() {
        return Err("no component is named".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut builds = vec![Build::new(&runtime, "the native core".to_owned(), 0, native())?];
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        builds.push(Build::new(&runtime, (*file).to_owned(), bytes.len(), component(&bytes)?)?);
    }
    for round in 0..ROUNDS {
        for build in &mut builds {
            for (at, (operation, count)) in OPERATIONS.iter().enumerate() {
                let started = Instant::now();
                for n in 0..*count {
                    build.run(&runtime, operation, n, round)?;
                }
                let each = started.elapsed().as_secs_f64() * 1e6 / *count as f64;
                build.best[at] = build.best[at].min(each);
            }
        }
    }
    let mut text = "| | MB |".to_owned();
    OPERATIONS.iter().try_for_each(|(operation, _)| write!(text, " {operation} |"))?;
    writeln!(text, "\n|---|{}", "--:|".repeat(OPERATIONS.len() + 1))?;
    let native = builds[0].best;
    for build in &builds {
        write!(text, "| {} | {:.2} |", build.name, build.bytes as f64 / 1e6)?;
        build
            .best
            .iter()
            .zip(native)
            .try_for_each(|(best, native)| write!(text, " {best:.1} µs, {:.2} |", best / native))?;
        writeln!(text)?;
    }
    println!("{text}");
    Ok(())
}

fn component(bytes: &[u8]) -> Result<Core, Box<dyn Error>> {
    let engine = Arc::new(Engine::new(bytes, Config { kept_instances: 1, ..Config::default() })?);
    let token = StaticToken::new(TOKEN, "default");
    Ok(Core::Component(Box::new(Provider::new(engine, Arc::new(Memory::new()), Arc::new(token), Arc::new(AllowAll)))))
}

fn native() -> Core {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let tenant = "default".to_owned();
    Core::Native(Native { store: Bridge { storage, tenant: tenant.clone() }, tenant })
}

impl Build {
    fn new(runtime: &Runtime, name: String, bytes: usize, core: Core) -> Result<Self, Box<dyn Error>> {
        let best = [f64::MAX; OPERATIONS.len()];
        let mut build = Self { name, bytes, core, ids: Vec::new(), created: 0, best };
        for _ in 0..USERS {
            let created = build.run(runtime, "POST", 0, 0)?;
            build.ids.push(created["id"].as_str().ok_or_else(|| format!("no user was created: {created}"))?.to_owned());
        }
        Ok(build)
    }

    /// One request; its answer.
    fn run(&mut self, runtime: &Runtime, operation: &str, n: usize, round: usize) -> Result<Value, Box<dyn Error>> {
        let get = |target: String| request("GET", &target, "");
        let request = match operation {
            "GET" => get(format!("/Users/{}", self.ids[n])),
            "userName eq" => get(format!("/Users?filter=userName%20eq%20%22u{n}%40example.com%22")),
            "a filter of four terms" => get(format!(
                "/Users?filter=userName%20eq%20%22u{n}%40example.com%22%20and%20(emails%5Btype%20eq%20%22work%22%20and%20value%20co%20\
                 %22ex%22%5D%20or%20active%20eq%20false)"
            )),
            "a page of 100" => get("/Users?startIndex=1&count=100".to_owned()),
            "PATCH" => {
                let value = format!("n{round}-{n}@example.com");
                let operation = json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": value});
                let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
                let body = json!({"schemas": schemas, "Operations": [operation]}).to_string();
                request("PATCH", &format!("/Users/{}", self.ids[n]), &body)
            }
            _ => {
                self.created += 1;
                request("POST", "/Users", &user(&format!("u{}", self.created)).to_string())
            }
        };
        let (status, body) = self.core.answer(runtime, request);
        if !(200..300).contains(&status) {
            return Err(format!("{}: {operation}: {}", self.name, String::from_utf8_lossy(&body)).into());
        }
        Ok(if operation == "POST" { serde_json::from_slice(&body)? } else { Value::Null })
    }
}

impl Core {
    /// The answer's status and body.
    fn answer(&self, runtime: &Runtime, request: client::Request) -> (u16, Vec<u8>) {
        const BASE: &str = "http://bench/scim/v2";
        match self {
            Self::Component(provider) => {
                let client::Request { method, target, headers, body } = request;
                let base_url = BASE.to_owned();
                let request = Request { method, target, headers, body, base_url, ..Request::default() };
                let response = runtime.block_on(provider.handle(request));
                (response.status, response.body)
            }
            Self::Native(native) => {
                let response = native.send(&request, BASE);
                (response.status, response.body)
            }
        }
    }
}

fn request(method: &str, target: &str, body: &str) -> client::Request {
    let headers = [("authorization", format!("Bearer {TOKEN}")), ("content-type", "application/scim+json".to_owned())];
    client::Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: body.into(),
    }
}

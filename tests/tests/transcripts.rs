//! The transcripts, four times: the core natively, the server over HTTP, the `service` component through wasi:http, and the
//! same on PostgreSQL. Those of tenants and tokens, which the server keeps, run over HTTP alone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scimwell::policy::AllowAll;
use scimwell::storage::{Postgres, Storage};
use scimwell::tokens::DevToken;
use scimwell::{Config, ServiceComponent};
use scimwell_guest::store::memory::Memory;
use scimwell_tests::client::{Client, Response};
use scimwell_tests::native::Native;
use scimwell_tests::postgres::PostgresServer;
use scimwell_tests::server::{Server, TOKEN, workspace};
use scimwell_tests::transcript::{Answer, Transcript};

/// Ids grow with the millisecond: this long between two requests puts lists into the order of creation.
const BETWEEN: Duration = Duration::from_millis(2);

#[test]
fn transcripts() {
    let files = files();
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let server = Server::dev();
    let service = Service::new(Arc::new(scimwell::storage::Memory::new()));
    let postgres = OnPostgres::new();
    let mut wrong = Vec::new();
    for (name, path) in &files {
        let text = fs::read_to_string(path).expect("a transcript can be read");
        let transcript = Transcript::parse(&text).unwrap_or_else(|error| panic!("{name}.http: {error}"));
        let mut report = |way: &str, found: Result<Vec<Answer>, String>| match found {
            Ok(answers) => {
                let differences = transcript.differences(&answers);
                wrong.extend(differences.iter().map(|difference| format!("== {name}.http, {way}\n{difference}")));
                answers
            }
            Err(error) => {
                wrong.push(format!("== {name}.http, {way}\n{error}\n"));
                Vec::new()
            }
        };

        let http = || run_http(&transcript, name, server.client());
        if transcript.server_only && !update {
            report("HTTP", http());
            continue;
        }
        let native = if transcript.server_only { http() } else { run_native(&transcript, name) };
        if update {
            let answers = native.unwrap_or_else(|error| panic!("{name}.http: {error}"));
            fs::write(path, transcript.with_answers(&answers)).expect("a transcript can be written");
            continue;
        }
        let native = report("native core", native);
        let http = report("HTTP", http());
        let wasi = report("wasi:http", service.run(&transcript, name));
        let stored = report("PostgreSQL", postgres.service.run(&transcript, name));
        for (way, answers) in [("HTTP", http), ("wasi:http", wasi), ("PostgreSQL", stored)] {
            let unlike = native.iter().zip(&answers).filter(|(native, other)| native.body != other.body);
            wrong.extend(unlike.map(|(native, other)| {
                format!(
                    "== {name}.http, {}: {way} sends other bytes than the native core\n{}\n{}\n",
                    native.title, native.body, other.body
                )
            }));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} differences", wrong.join("\n"), wrong.len());
}

fn files() -> Vec<(String, PathBuf)> {
    let directory = workspace().join("tests/transcripts");
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(&directory)
        .expect("there are transcripts")
        .map(|entry| entry.expect("a directory can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "http"))
        .map(|path| (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no transcripts", directory.display());
    files
}

fn run_native(transcript: &Transcript, tenant: &str) -> Result<Vec<Answer>, String> {
    let base = format!("https://scim.example.com/t/{tenant}/scim/v2");
    let native = Native { tenant: tenant.to_owned(), store: Memory::default() };
    transcript.run(&base, "", |request| {
        std::thread::sleep(BETWEEN);
        Ok(native.send(request, &base))
    })
}

fn run_http(transcript: &Transcript, tenant: &str, mut client: Client) -> Result<Vec<Answer>, String> {
    let path = format!("/t/{tenant}/scim/v2");
    transcript.run(&format!("http://{}{path}", client.address()), &path, |request| {
        std::thread::sleep(BETWEEN);
        client.send(request).map_err(|error| error.to_string())
    })
}

/// The `service` component on a database.
struct OnPostgres {
    service: Service,
    // Dropped after the service that uses it.
    _database: Arc<PostgresServer>,
}

impl OnPostgres {
    fn new() -> Self {
        let database = PostgresServer::shared();
        let options = database.database().parse().expect("the URL of a test's database is one");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let storage = runtime.block_on(Postgres::connect(&options)).expect("the database is there");
        Self { service: Service::on(runtime, Arc::new(storage)), _database: database }
    }
}

/// The `service` component on some storage.
struct Service {
    runtime: tokio::runtime::Runtime,
    component: ServiceComponent,
}

impl Service {
    fn new(storage: Arc<dyn Storage>) -> Self {
        Self::on(tokio::runtime::Runtime::new().expect("a runtime starts"), storage)
    }

    fn on(runtime: tokio::runtime::Runtime, storage: Arc<dyn Storage>) -> Self {
        let path = workspace().join("target/components/scimwell-http.wasm");
        let bytes = fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()));
        let inside = runtime.enter();
        let authenticator = Arc::new(DevToken::new(TOKEN, storage.clone()));
        let component = ServiceComponent::new(&bytes, Config::default(), storage, authenticator, Arc::new(AllowAll))
            .expect("the service component compiles");
        drop(inside);
        Self { runtime, component }
    }

    fn run(&self, transcript: &Transcript, tenant: &str) -> Result<Vec<Answer>, String> {
        let path = format!("/t/{tenant}/scim/v2");
        transcript.run(&format!("http://scim.example.com{path}"), &path, |request| {
            std::thread::sleep(BETWEEN);
            let mut http = http::Request::builder()
                .method(request.method.as_str())
                .uri(format!("http://scim.example.com{}", request.target))
                .header("host", "scim.example.com");
            for (name, value) in &request.headers {
                http = http.header(name, value);
            }
            let http = http.body(Bytes::from(request.body.clone())).map_err(|error| error.to_string())?;
            let response = self.runtime.block_on(self.component.handle(http));
            let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            Ok(Response {
                status: response.status().as_u16(),
                headers: response.headers().iter().map(header).collect(),
                body: response.into_body().to_vec(),
            })
        })
    }
}

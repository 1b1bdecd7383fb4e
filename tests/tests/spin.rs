//! The component on Spin: the adapter under the storage contract, and both composed behind HTTP. By the stand-in, since
//! there is no `spin` command everywhere; where there is one, [`spin_up`] runs the same over the real one.

#![cfg(unix)]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::thread;

use bytes::Bytes;
use http_body_util::BodyExt;
use scimwell::storage::{Storage, contract};
use scimwell_tests::client::Request;
use scimwell_tests::data::DataDirectory;
use scimwell_tests::postgres::PostgresServer;
use scimwell_tests::race::{one_was_created, race};
use scimwell_tests::scenario::{recorded, replay};
use scimwell_tests::served_check::failures;
use scimwell_tests::server::workspace;
use scimwell_tests::spin::{Application, Bridge, Manifest, Way, find_spin};
use serde_json::{Value, json};

/// Clients that create the same user at once.
const RACERS: usize = 8;
/// Those who take part in a race of the storage check.
const PARTS: usize = 8;

fn component(file: &str) -> Vec<u8> {
    let path = workspace().join("target/components").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()))
}

fn stand_in() -> Way {
    Way::StandIn(env!("CARGO_BIN_EXE_spin-stand-in").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_contract() {
    let directory = DataDirectory::new("spin-contract");
    let manifest = Manifest { sqlite: Some(directory.path().join("sqlite.db")), ..Manifest::default() };
    let application = Application::new(&component("scimwell-spin.wasm"), manifest).expect("the adapter compiles");
    let storage: Arc<dyn Storage> = Arc::new(Bridge::new(application));
    let violations = contract::check(&storage).await;
    assert!(violations.is_empty(), "{violations:#?}");
}

/// A new database: where it is, and the variables that lead there.
fn postgresql(server: &PostgresServer) -> (String, [(&'static str, String); 2]) {
    let url = server.database();
    let (_, rest) = url.split_once('@').expect("the URL has a user");
    let (host, _) = rest.split_once('/').expect("the URL has a database");
    (format!("postgres://{host}"), [("storage", "postgres".to_owned()), ("postgres_url", url)])
}

/// PostgreSQL instead of SQLite; the manifest allows the connection.
fn on_postgres(server: &PostgresServer) -> Manifest {
    let (allowed, variables) = postgresql(server);
    let manifest = Manifest { outbound: vec![allowed], ..Manifest::default() };
    variables.into_iter().fold(manifest, |manifest, (name, value)| manifest.variable(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_contract_on_postgres() {
    let server = PostgresServer::shared();
    let application =
        Application::new(&component("scimwell-spin.wasm"), on_postgres(&server)).expect("the adapter compiles");
    let storage: Arc<dyn Storage> = Arc::new(Bridge::new(application));
    let violations = contract::check(&storage).await;
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_on_postgres() {
    let server = PostgresServer::shared();
    let manifest = on_postgres(&server).variable("token", "T");
    let local = Local { directory: DataDirectory::new("spin-postgres"), manifest };
    // The first request makes the tables: several at once must not meet there.
    let racers = creations_at_once(&local, 4).await;
    assert_eq!(racers, [201, 409, 409, 409]);
    assert_eq!(local.total().await, 1);

    let denied = Manifest { outbound: vec![], ..local.manifest.clone() };
    assert_eq!(create(&denied, "bob").await.0, 503);
    let nowhere = local.manifest.clone().variable("postgres_url", "");
    assert_eq!(create(&nowhere, "bob").await.0, 500);
}

/// The statuses of so many creations of one user at once, ascending.
async fn creations_at_once(local: &Local, count: usize) -> Vec<u16> {
    let application = composed(&local.manifest);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let application = application.with(local.manifest.clone());
        tasks.spawn(async move { send(&application, "POST", "/scim/v2/Users", &json!({"userName": "ann"})).await.0 });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    statuses
}

#[test]
fn the_storage_check() {
    checks(&stand_in());
}

#[test]
fn what_the_storage_check_answers() {
    let directory = DataDirectory::new("spin-check-answers");
    let up = stand_in().start_check(&[], directory.path(), &[("storage", "postgres".to_owned())]);
    let mut client = up.client();
    let mut ask = |method, target| client.send(&Request::new(method, target)).expect("the server answers");
    let listed = ask("GET", "/").json();
    assert!(listed[0] == json!({"name": "grants", "clause": listed[0]["clause"], "race": false}), "{listed}");
    // The variable `postgres_url` is empty: nothing can pass.
    let failed = ask("POST", "/get");
    assert_eq!((failed.status, &failed.json()["verdict"]), (500, &json!("failed")), "{failed}");
    assert!(failed.json()["why"].as_str().is_some_and(|why| why.contains("postgres_url")), "{failed}");
    let no_race = ask("POST", "/get/prepare");
    assert!(no_race.status == 500 && no_race.json()["why"].as_str().is_some_and(|why| why.contains("no parts")));
    for (method, target, status) in [
        ("POST", "/", 404),
        ("POST", "/gett", 404),
        ("POST", "/create-race/parts/1", 404),
        ("POST", "/create-race/parts/one/2", 404),
        ("GET", "/get", 405),
        ("DELETE", "/", 405),
    ] {
        let answer = ask(method, target);
        assert!(answer.status == status && answer.json()["error"].is_string(), "{method} {target}: {answer}");
    }
}

#[test]
fn identity_providers() {
    scenarios(&stand_in());
}

#[test]
fn acknowledged_writes_outlive_a_kill() {
    restart(&stand_in());
}

#[test]
fn one_of_racing_creations_wins() {
    racing_creations(&stand_in());
}

#[test]
fn tenants_tokens_and_base_paths() {
    routes(&stand_in());
}

#[test]
fn configured_base_url() {
    base_url(&stand_in());
}

#[test]
fn users_in_postgresql() {
    in_postgresql(&stand_in());
}

#[test]
fn the_application_is_asked() {
    asks(&stand_in());
}

/// The same over `spin up`, with both manifests. Without Spin the report says so, and `cargo xtask test` shows it.
#[test]
fn spin_up() {
    let report = match find_spin() {
        Err(why) => format!("skipped: {why}; the stand-in was tested"),
        Ok(version) => {
            for manifest in ["spin.toml", "spin/composed.toml"] {
                let way = Way::Spin(manifest);
                scenarios(&way);
                restart(&way);
                racing_creations(&way);
                routes(&way);
                base_url(&way);
                in_postgresql(&way);
                asks(&way);
            }
            checks(&Way::Spin("spin/storage-check.toml"));
            format!("{version}: as the stand-in, with both manifests; the storage contract on SQLite and PostgreSQL")
        }
    };
    println!("{report}");
    std::fs::write(workspace().join("target/spin.txt"), report + "\n").expect("the report can be written");
}

/// Data of this way alone: all ways run at once.
fn data_of(way: &Way, name: &str) -> DataDirectory {
    match way {
        Way::StandIn(_) => DataDirectory::new(name),
        Way::Spin(manifest) => DataDirectory::new(&format!("{name}-{}", manifest.replace(['/', '.'], "-"))),
    }
}

/// The storage contract on both databases, the parts of races in instances of their own.
fn checks(way: &Way) {
    let directory = data_of(way, "spin-check");
    let up = way.start_check(&[], directory.path(), &[]);
    assert_eq!(failures(&up, PARTS), Vec::<String>::new(), "{way:?} on SQLite");

    let server = PostgresServer::shared();
    let (allowed, variables) = postgresql(&server);
    let directory = data_of(way, "spin-check-postgresql");
    let up = way.start_check(&[allowed.as_str()], directory.path(), &variables);
    assert_eq!(failures(&up, PARTS), Vec::<String>::new(), "{way:?} on PostgreSQL");
}

/// What identity providers send, each scenario in a tenant of its own.
fn scenarios(way: &Way) {
    // The recorded traffic is not part of this repository; tests/tests/scenarios.rs reports where it is missing.
    let Some(scenarios) = recorded() else { return };
    let ids: Vec<&str> = scenarios.iter().map(|s| s["id"].as_str().expect("a scenario has an id")).collect();
    let token = |id: &str| format!("token-of-{id}");
    let tokens: Vec<Value> = ids.iter().map(|id| json!({"tenant": id, "token": token(id)})).collect();
    let directory = data_of(way, "spin-scenarios");
    let up = way.start(directory.path(), &[("tokens", json!(tokens).to_string())]);
    let mut failed = String::new();
    for (scenario, id) in scenarios.iter().zip(&ids) {
        let mut client = up.client();
        let result = replay(scenario, &format!("r{id}").replace('-', ""), &token(id), |request| {
            let mut request = request.clone();
            request.target = format!("/t/{id}/scim/v2{}", request.target);
            client.send(&request).map_err(|error| error.to_string())
        });
        if let Err(error) = result {
            writeln!(failed, "{id}: {error}").expect("a String takes whatever is written");
        }
    }
    assert!(failed.is_empty(), "{way:?}\n{failed}");
}

/// What was answered 201 is there after kill -9 and a new start.
fn restart(way: &Way) {
    let directory = data_of(way, "spin-restart");
    let variables = [("token", "T".to_owned())];
    let up = way.start(directory.path(), &variables);
    let mut client = up.client();
    let mut ids = Vec::new();
    for n in 0..5 {
        let created = client.send(&post(&format!("kept{n}"))).expect("the server answers");
        assert_eq!(created.status, 201, "{created}");
        ids.push(created.json()["id"].as_str().expect("a user has an id").to_owned());
    }
    drop(up);
    let up = way.start(directory.path(), &variables);
    let mut client = up.client();
    for (n, id) in ids.iter().enumerate() {
        let read = client.send(&get(&format!("/scim/v2/Users/{id}"))).expect("the server answers");
        assert_eq!(read.json()["userName"], json!(format!("kept{n}")), "{read}");
        assert_eq!(client.send(&post(&format!("KEPT{n}"))).expect("the server answers").status, 409);
    }
}

/// Exactly one of those who create the same user is answered 201, also on a database that nobody has prepared.
fn racing_creations(way: &Way) {
    let directory = data_of(way, "spin-race");
    let up = way.start(directory.path(), &[("token", "T".to_owned())]);
    for round in 0..3 {
        let clients = (0..RACERS).map(|_| up.client()).collect();
        one_was_created(&race(clients, |racer| {
            post(&if racer % 2 == 0 { format!("racer{round}") } else { format!("RACER{round}") })
        }));
    }
    let total = up.client().send(&get("/scim/v2/Users?count=0")).expect("the server answers").json();
    assert_eq!(total["totalResults"], 3);
}

fn routes(way: &Way) {
    let directory = data_of(way, "spin-routes");
    // The SHA-256 of `B`.
    let hash = "sha256:df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c";
    let tokens = json!([{"tenant": "acme", "token": hash, "label": "Okta"},
        {"tenant": "acme", "token": "reader", "permissions": ["read"]},
        {"tenant": "acme", "token": "old", "expires": "2020-01-01"}]);
    let up = way.start(directory.path(), &[("token", "T".to_owned()), ("tokens", tokens.to_string())]);
    let mut client = up.client();
    let mut status = |target: &str, token: &str| {
        client.send(&Request::new("GET", target).bearer(token)).expect("the server answers").status
    };
    assert_eq!(status("/scim/v2/Users", "T"), 200);
    assert_eq!(status("/t/default/scim/v2/Users", "T"), 200);
    assert_eq!(status("/t/acme/scim/v2/Users", "T"), 403);
    assert_eq!(status("/t/acme/scim/v2/Users", "B"), 200);
    assert_eq!(status("/scim/v2/Users", "B"), 200);
    assert_eq!(status("/scim/v2/admin/settings", "B"), 403);
    assert_eq!(status("/scim/v2/admin/settings", "T"), 200);
    for unknown in ["U", "old", hash] {
        assert_eq!(status("/scim/v2/Users", unknown), 401, "{unknown}");
    }
    assert_eq!(status("/elsewhere", "T"), 404);

    let refused = client.send(&post("x").bearer("ignored")).expect("the server answers");
    assert_eq!(refused.status, 201, "the first Authorization header counts: {refused}");
    let written = Request::new("POST", "/scim/v2/Users").bearer("reader").json(&json!({"userName": "r"}));
    assert_eq!(client.send(&written).expect("the server answers").status, 403);

    // Spin does not strip what its routes match.
    let under = Request::new("POST", "/any/where/t/acme/scim/v2/Users").bearer("B").json(&json!({"userName": "ann"}));
    let under = under.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "scim.example.com");
    let created = client.send(&under).expect("the server answers");
    let location = created.header("location").unwrap_or_default();
    assert!(location.starts_with("https://scim.example.com/any/where/t/acme/scim/v2/Users/"), "{location}");
    // No tenant sees another's.
    let found = client.send(&get("/scim/v2/Users?filter=userName%20eq%20%22ann%22")).expect("the server answers");
    assert_eq!(found.json()["totalResults"], 0, "{found}");

    // Bodies of any size: what the host buffers, what it takes in one write, and more.
    let schemas = client.send(&get("/scim/v2/Schemas")).expect("the server answers");
    assert!(schemas.body.len() > 8 * 1024 && schemas.json()["Resources"].is_array(), "{schemas}");
    for n in 0..4 {
        let long = json!({"userName": format!("long{n}"), "nickName": "n".repeat(300 * 1024)});
        let created = client.send(&Request::new("POST", "/scim/v2/Users").bearer("T").json(&long));
        assert_eq!(created.expect("the server answers").status, 201);
    }
    let listed = client.send(&get("/scim/v2/Users")).expect("the server answers");
    assert!(listed.body.len() > 1024 * 1024, "{} bytes", listed.body.len());
    assert_eq!(listed.json()["totalResults"], 5);

    let swept = client.send(&Request::new("POST", "/scim/v2/admin/maintenance").bearer("T"));
    assert_eq!(swept.expect("the server answers").json(), json!({"steps": 0, "done": true}));
}

/// What is configured goes before what a request says.
fn base_url(way: &Way) {
    let directory = data_of(way, "spin-base-url");
    let variables = [("token", "T".to_owned()), ("base_url", "https://scim.example.com/identity/".to_owned())];
    let up = way.start(directory.path(), &variables);
    let mut client = up.client();
    let mut location = |request: Request| {
        let answer = client.send(&request.header("X-Forwarded-Host", "elsewhere.example")).expect("the server answers");
        (answer.json()["meta"]["location"].as_str().unwrap_or_default().to_owned(), answer)
    };
    let (in_body, created) = location(post("ann"));
    assert_eq!(created.header("location"), Some(in_body.as_str()), "{created}");
    assert!(in_body.starts_with("https://scim.example.com/identity/scim/v2/Users/"), "{in_body}");
    let (of_type, _) = location(get("/any/where/t/default/scim/v2/ResourceTypes/User"));
    assert_eq!(of_type, "https://scim.example.com/identity/t/default/scim/v2/ResourceTypes/User");
}

/// On PostgreSQL instead of SQLite: nothing prepared, several who create one user, reads of all kinds, a restart.
fn in_postgresql(way: &Way) {
    let server = PostgresServer::shared();
    let (allowed, database) = postgresql(&server);
    let variables = [&[("token", "T".to_owned())], &database[..]].concat();
    let directory = data_of(way, "spin-postgresql");
    let start = || way.start_allowing(&[allowed.as_str()], directory.path(), &variables);
    let up = start();
    for round in 0..2 {
        let clients = (0..RACERS).map(|_| up.client()).collect();
        one_was_created(&race(clients, |_| post(&format!("racer{round}"))));
    }
    drop(up);
    let up = start();
    let mut client = up.client();
    let mut send = |request: Request| client.send(&request).expect("the server answers");
    let user = send(post("ann")).json();
    let id = user["id"].as_str().expect("a user has an id");
    let group = json!({"displayName": "Staff", "members": [{"value": id}]});
    assert_eq!(send(Request::new("POST", "/scim/v2/Groups").bearer("T").json(&group)).status, 201);
    let read = send(get(&format!("/scim/v2/Users/{id}"))).json();
    assert_eq!(read["groups"][0]["display"], "Staff", "{read}");
    let listed = send(get("/scim/v2/Users?sortBy=userName&sortOrder=descending&count=2")).json();
    assert_eq!(listed["totalResults"], 3, "{listed}");
    assert_eq!(listed["Resources"][0]["userName"], "racer1", "{listed}");
    assert_eq!(send(get("/scim/v2/Users/0000")).status, 404);
    assert_eq!(send(Request::new("DELETE", format!("/scim/v2/Users/{id}")).bearer("T")).status, 204);
    assert_eq!(send(get("/scim/v2/Users?count=0")).json()["totalResults"], 2);
}

/// The application has its say over HTTP, and what it says reaches the client.
fn asks(way: &Way) {
    let (refuses, asked) = application_answering("403 Forbidden", r#"{"detail": "No seats left: buy more."}"#);
    let directory = data_of(way, "spin-asks");
    let variables = [("token", "T".to_owned()), ("policy_url", format!("{refuses}/scim"))];
    let up = way.start_allowing(&[refuses.as_str()], directory.path(), &variables);
    let refused = up.client().send(&post("ann")).expect("the server answers");
    assert_eq!((refused.status, &refused.json()["detail"]), (403, &json!("No seats left: buy more.")));
    assert!(asked.recv().expect("the application was asked").contains(r#""userName":"ann""#));
    drop(up);

    // Without being allowed to ask, nothing is changed.
    let up = way.start(directory.path(), &variables);
    let refused = up.client().send(&post("ann")).expect("the server answers");
    assert_eq!(refused.status, 403, "{refused}");
    assert!(refused.json()["detail"].as_str().unwrap_or_default().contains("gives no answer"), "{refused}");
}

fn post(name: &str) -> Request {
    Request::new("POST", "/scim/v2/Users").bearer("T").json(&json!({"userName": name}))
}

fn get(target: &str) -> Request {
    Request::new("GET", target).bearer("T")
}

/// An application in this process, on a database of its own.
struct Local {
    directory: DataDirectory,
    manifest: Manifest,
}

impl Local {
    fn new(name: &str) -> Self {
        let directory = DataDirectory::new(name);
        let sqlite = Some(directory.path().join("sqlite.db"));
        Self { directory, manifest: Manifest { sqlite, ..Manifest::default() }.variable("token", "T") }
    }

    async fn total(&self) -> Value {
        let (_, list) = send(&composed(&self.manifest), "GET", "/scim/v2/Users?count=0", &Value::Null).await;
        list["totalResults"].clone()
    }
}

/// Guest and adapter with this manifest; compiled once for all tests.
fn composed(manifest: &Manifest) -> Application {
    static COMPOSED: OnceLock<Application> = OnceLock::new();
    let compile = || Application::new(&component("scimwell-on-spin.wasm"), Manifest::default());
    COMPOSED.get_or_init(|| compile().expect("the component compiles")).with(manifest.clone())
}

async fn create(manifest: &Manifest, name: &str) -> (u16, Value) {
    send(&composed(manifest), "POST", "/scim/v2/Users", &json!({"userName": name})).await
}

/// Status and body of the answer to a request with the token.
async fn send(application: &Application, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://scim.example{target}"))
        .header("authorization", "Bearer T")
        .header("content-type", "application/scim+json")
        .body(Bytes::from(if body.is_null() { String::new() } else { body.to_string() }))
        .expect("a request");
    match application.handle(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let body =
                response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }
        // What Spin answers for an instance that failed.
        Err(_failed) => (500, Value::Null),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_leaves_nothing() {
    let local = Local::new("spin-death");
    assert_eq!(create(&local.manifest, "before").await.0, 201);
    for statement in ["BEGIN", "INSERT", "COMMIT"] {
        let deadly = Manifest { dies_at: Some(statement.to_owned()), ..local.manifest.clone() };
        assert_eq!(create(&deadly, "ann").await.0, 500, "{statement}");
        assert_eq!(local.total().await, 1, "{statement}");
    }
    // Nothing is locked either.
    assert_eq!(create(&local.manifest, "ann").await.0, 201);
    assert_eq!(local.total().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_no_open_door() {
    let local = Local::new("spin-missing");
    let nobody = local.manifest.clone().variable("token", "");
    assert_eq!(create(&nobody, "ann").await.0, 503);
    let broken = local.manifest.clone().variable("tokens", "[{]");
    assert_eq!(create(&broken.clone().variable("token", "U"), "ann").await.0, 503);
    let undefined = Manifest { variables: std::collections::BTreeMap::new(), ..local.manifest.clone() };
    assert_eq!(create(&undefined, "ann").await.0, 503);
    let denied = Manifest { sqlite: None, ..local.manifest.clone() };
    let (status, body) = create(&denied, "ann").await;
    assert_eq!(status, 500);
    assert!(!body["detail"].as_str().expect("a SCIM Error").contains("SQLite"), "{body}");
    let nowhere = local.manifest.clone().variable("base_url", "scim.example.com");
    let (status, body) = create(&nowhere, "ann").await;
    assert_eq!(status, 500);
    assert!(body["detail"].as_str().expect("a SCIM Error").contains("base URL"), "{body}");
    let elsewhere = local.manifest.clone().variable("storage", "key-value");
    assert_eq!(create(&elsewhere, "ann").await.0, 500);
    assert!(!local.directory.path().join("sqlite.db").exists());
    // Whoever has the one token needs none of the others.
    assert_eq!(create(&broken, "ann").await.0, 201);
}

/// Answers every request alike, and hands over what was asked.
fn application_answering(status: &str, body: &str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let origin = format!("http://{}", listener.local_addr().expect("it has an address"));
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut asked = Vec::new();
            let mut part = [0; 4096];
            // The question is one JSON object, the last thing sent.
            while !asked.ends_with(b"}") {
                let read = stream.read(&mut part).expect("the question can be read");
                if read == 0 {
                    break;
                }
                asked.extend_from_slice(&part[..read]);
            }
            stream.write_all(answer.as_bytes()).expect("the answer can be written");
            let _ = sender.send(String::from_utf8_lossy(&asked).into_owned());
        }
    });
    (origin, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_decides() {
    let local = Local::new("spin-policy");
    let asking = |origin: &str| {
        let mut manifest = local.manifest.clone().variable("policy_url", format!("{origin}/scim?from=spin"));
        manifest.outbound.push(origin.to_owned());
        manifest.variable("policy_token", "S")
    };
    let (allows, asked) = application_answering("204 No Content", "");
    assert_eq!(create(&asking(&allows), "ann").await.0, 201);
    let asked = asked.recv().expect("the application was asked");
    assert!(asked.starts_with("POST /scim?from=spin HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: bearer s\r\n"), "{asked}");
    let question: Value = serde_json::from_str(asked.split("\r\n\r\n").last().unwrap_or_default()).expect("JSON");
    assert_eq!(question["operation"], "create");
    assert_eq!(question["subject"], "spin-variable");
    assert_eq!(question["after"]["userName"], "ann");
    assert_eq!(question["before"], Value::Null);

    let (refuses, _asked) = application_answering("403 Forbidden", r#"{"detail": "No seats left: buy more."}"#);
    let (status, body) = create(&asking(&refuses), "bob").await;
    assert_eq!((status, &body["detail"]), (403, &json!("No seats left: buy more.")));
    assert_eq!(local.total().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_gives_no_answer() {
    let local = Local::new("spin-policy-fails");
    let (failing, _asked) = application_answering("500 Internal Server Error", "");
    // Nobody listens at the second, the third is not allowed, the fourth is no URL.
    let cases = [(failing.as_str(), true), ("http://127.0.0.1:1", true), (failing.as_str(), false), ("nowhere", true)];
    for (at, (url, allowed)) in cases.into_iter().enumerate() {
        let mut asking = local.manifest.clone().variable("policy_url", url);
        if allowed {
            asking.outbound.push(url.to_owned());
        }
        for (configured, expect) in [("", 403), ("closed", 403), ("shut", 403), ("open", 201)] {
            let (status, body) =
                create(&asking.clone().variable("policy_failure", configured), &format!("u{at}")).await;
            assert_eq!(status, expect, "{url} {configured}: {body}");
        }
    }
    assert_eq!(local.total().await, 4);
}

/// Both manifests offer the same, and what the adapter reads.
#[test]
fn the_manifests_agree() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    let (linked, composed) = (read("spin.toml"), read("spin/composed.toml"));
    let told = ["token", "tokens", "postgres_url", "policy_url", "policy_token", "policy_failure"];
    let all = [&told[..], &["storage", "base_url"]].concat();
    for (start, end, variables) in
        [("[variables]", "[[trigger.http]]", &told[..]), ("[component.scimwell.variables]", "\n\n", &all)]
    {
        let section = |text: &str| {
            let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}"));
            rest.split(end).next().unwrap_or_default().trim().to_owned()
        };
        assert_eq!(section(&linked), section(&composed), "{start}");
        let mut found: Vec<_> =
            section(&linked).lines().filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect();
        let mut expected = variables.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{start}");
    }
}

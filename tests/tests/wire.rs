//! `wasmtime serve` as a real process, on the component composed with the adapter over the wire, and behind it a storage in
//! another process: what identity providers send, restarts, races, and a storage that does not do what it should.

#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use scimwell_tests::client::{Request, Response};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::race::{one_was_created, race};
use scimwell_tests::scenario::{recorded, replay};
use scimwell_tests::served_check::failures;
use scimwell_tests::server::{Server, TOKEN, in_default};
use scimwell_tests::wire::{broken_storage, by_call, by_token, serve, serve_check, storage, url};
use serde_json::{Value, json};

/// Clients that create the same user at once.
const RACERS: usize = 8;
/// Those who take part in a race of the storage check.
const PARTS: usize = 8;

type Settings = Vec<(&'static str, String)>;

fn send(server: &Server, request: &Request) -> Response {
    server.client().send(request).expect("wasmtime serve answers")
}

fn post(name: &str) -> Request {
    in_default("POST", "/Users").json(&json!({ "userName": name }))
}

fn total(server: &Server) -> Value {
    send(server, &in_default("GET", "/Users?count=0")).json()["totalResults"].clone()
}

#[test]
fn identity_providers() {
    // The recorded traffic is not part of this repository; tests/tests/scenarios.rs reports where it is missing.
    let Some(scenarios) = recorded() else { return };
    let ids: Vec<&str> = scenarios.iter().map(|s| s["id"].as_str().expect("a scenario has an id")).collect();
    let token = |id: &str| format!("token-of-{id}");
    let tokens: Vec<Value> = ids.iter().map(|id| json!({ "tenant": id, "token": token(id) })).collect();
    let data = DataDirectory::new("wire-scenarios");
    let behind = storage(data.path(), 0);
    let mut settings = by_token(&url(&behind));
    settings.push(("SCIMWELL_TOKENS", json!(tokens).to_string()));
    let server = serve(&settings);
    for (scenario, id) in scenarios.iter().zip(ids) {
        let mut client = server.client();
        let result = replay(scenario, &format!("w{id}").replace('-', ""), &token(id), |request| {
            let mut request = request.clone();
            request.target = format!("/t/{id}/scim/v2{}", request.target);
            client.send(&request).map_err(|error| error.to_string())
        });
        result.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

#[test]
fn acknowledged_writes_outlive_both() {
    let data = DataDirectory::new("wire-restart");
    let behind = storage(data.path(), 0);
    let server = serve(&by_token(&url(&behind)));
    for n in 0..20 {
        let created = send(&server, &post(&format!("user{n}")));
        assert_eq!(created.status, 201, "{created}");
    }
    let port = behind.address().port();
    behind.kill();
    let without = send(&server, &post("nobody"));
    assert_eq!(without.status, 503, "{without}");
    // The storage comes back where it was: the same server goes on.
    let behind = storage(data.path(), port);
    assert_eq!(total(&server), json!(20));
    server.kill();
    let server = serve(&by_token(&url(&behind)));
    assert_eq!(total(&server), json!(20));
    assert_eq!(send(&server, &post("user7")).status, 409);
}

#[test]
fn one_of_racing_creations_wins() {
    let data = DataDirectory::new("wire-race");
    let behind = storage(data.path(), 0);
    // Two servers on one storage: nothing but the commit tells them apart.
    let servers = [serve(&by_token(&url(&behind))), serve(&by_token(&url(&behind)))];
    for round in 0..5 {
        let clients = (0..RACERS).map(|n| servers[n % 2].client()).collect();
        one_was_created(&race(clients, |_| post(&format!("user{round}"))));
    }
    assert_eq!(total(&servers[0]), json!(5));
}

#[test]
fn the_application_says_who_is_calling_and_what_may_change() {
    let data = DataDirectory::new("wire-application");
    let behind = storage(data.path(), 0);
    let mut settings = by_call(&url(&behind));
    settings.push(("SCIMWELL_BASE_URL", "https://scim.example.com".to_owned()));
    let server = serve(&settings);
    let create =
        |tenant: &str| Request::new("POST", format!("/t/{tenant}/scim/v2/Users")).json(&json!({ "userName": "ann" }));
    let created = send(&server, &create("acme"));
    assert_eq!(created.status, 201);
    let location = created.header("location").unwrap_or_default();
    assert!(location.starts_with("https://scim.example.com/t/acme/scim/v2/Users/"), "{location}");
    assert_eq!(send(&server, &create("globex")).status, 201, "another tenant's");
    assert_eq!(send(&server, &post("bob")).status, 401, "the URL names no tenant");

    let refuses = answering(&http("403 Forbidden", r#"{"detail": "No seats"#));
    let mut settings = by_token(&url(&behind));
    settings.push(("SCIMWELL_POLICY_URL", refuses));
    let unreadable = send(&serve(&settings), &post("cid"));
    assert_eq!(unreadable.status, 403);
    assert!(unreadable.json()["detail"].as_str().is_some_and(|why| why.contains("gives no answer")), "{unreadable}");
    let refuses = answering(&http("403 Forbidden", r#"{"detail": "No seats left: buy one."}"#));
    settings.pop();
    settings.push(("SCIMWELL_POLICY_URL", refuses));
    let server = serve(&settings);
    let refused = send(&server, &post("cid"));
    assert_eq!((refused.status, &refused.json()["detail"]), (403, &json!("No seats left: buy one.")));
    assert_eq!(total(&server), json!(0));
}

/// Answers every request with these bytes and closes; nothing at all where there are none. Its URL.
fn answering(bytes: &str) -> String {
    let bytes = bytes.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, bytes) = (stream.expect("a connection"), bytes.clone());
            thread::spawn(move || {
                read_request(&mut stream);
                let _ = stream.write_all(bytes.as_bytes());
                if bytes.is_empty() {
                    // Until the other side gives up.
                    let _ = stream.read(&mut [0]);
                }
            });
        }
    });
    url
}

/// An answer as it goes over the wire.
fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads head and body.
fn read_request(stream: &mut TcpStream) {
    let (mut asked, mut part) = (Vec::new(), [0; 4096]);
    // Every question is one JSON object, the last thing sent.
    while !asked.ends_with(b"}") {
        match stream.read(&mut part) {
            Ok(read @ 1..) => asked.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
}

/// What a client gets, and what the log says, where the storage does this.
#[track_caller]
fn check(settings: &Settings, status: u16, says: &str) {
    let server = serve(settings);
    let response = send(&server, &in_default("GET", "/Users"));
    assert_eq!(response.status, status, "{response}");
    assert_eq!(response.json()["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{response}");
    assert_eq!(response.header("retry-after").is_some(), status == 503, "{response:?}");
    let log = server.says(says);
    for (name, value) in settings {
        assert!(!name.ends_with("_TOKEN") || !log.contains(value), "{name} is in the log:\n{log}");
    }
    let detail = response.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(!detail.contains("127.0.0.1") && !detail.contains("read"), "the client reads no word of it: {detail}");
}

#[test]
fn a_storage_that_is_not_there() {
    let nobody = "http://127.0.0.1:1";
    check(&by_token(nobody), 503, "storage.read at http://127.0.0.1:1/read: http://127.0.0.1:1 gives no answer");
}

#[test]
fn a_storage_that_never_answers() {
    let mut settings = by_token(&answering(""));
    settings.push(("SCIMWELL_STORAGE_TIMEOUT", "1".to_owned()));
    check(&settings, 503, "gives no answer: ErrorCode::ConnectionReadTimeout");
}

#[test]
fn a_storage_that_answers_nonsense() {
    let answers = |bytes: &str| by_token(&answering(bytes));
    let ok = |body: &str| answers(&http("200 OK", body));
    check(&ok("<html>"), 500, "the answer is not {\"values\"");
    check(&ok(r#"{"values": ["?"], "entries": [[]]}"#), 500, "the answer is not {\"values\"");
    check(&ok(r#"{"values": [], "entries": []}"#), 500, "keys were asked for, and 0 values came");
    check(&answers("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"), 503, "gives no answer");
    check(&answers("nonsense\r\n\r\n"), 503, "gives no answer: ErrorCode::HttpProtocolError");
    check(&answers(&http("404 Not Found", "no path")), 500, "it answers 404: no path");
    check(&answers(&http("503 Busy", "")), 503, "it answers 503");
    check(&answers(&http("403 No", "")), 500, "it answers 403: this tenant is refused");
}

#[test]
fn a_secret_that_is_another() {
    let data = DataDirectory::new("wire-secret");
    let behind = storage(data.path(), 0);
    let mut settings = by_token(&url(&behind));
    settings[1].1 = "guessed".to_owned();
    check(&settings, 500, "SCIMWELL_STORAGE_TOKEN is not what it expects");
}

#[test]
fn settings_that_are_missing_or_wrong() {
    let without = |name: &str| by_token("http://127.0.0.1:1").into_iter().filter(|(n, _)| *n != name).collect();
    check(&without("SCIMWELL_TOKEN"), 503, "no token is configured: set one as SCIMWELL_TOKEN");
    check(&without("SCIMWELL_STORAGE_URL"), 500, "SCIMWELL_STORAGE_URL: it is not set");
    check(&by_token("nowhere"), 500, "SCIMWELL_STORAGE_URL: a URL is expected");
    let mut based = by_token("http://127.0.0.1:1");
    based.push(("SCIMWELL_BASE_URL", "scim.example.com".to_owned()));
    check(&based, 500, "SCIMWELL_BASE_URL: \"scim.example.com\" is no URL");
    let mut both = by_call("http://127.0.0.1:1");
    check(&both, 503, "authenticator: nobody can be let in: http://127.0.0.1:1 gives no answer");
    both.push(("SCIMWELL_TOKEN", TOKEN.to_owned()));
    check(&both, 503, "SCIMWELL_AUTHENTICATE_URL: it and tokens exclude each other");
}

#[test]
fn the_storage_keeps_its_contract_over_the_wire() {
    let data = DataDirectory::new("wire-check");
    let behind = storage(data.path(), 0);
    assert_eq!(failures(&serve_check(&by_call(&url(&behind))), PARTS), Vec::<String>::new());
}

#[test]
fn a_storage_that_breaks_its_contract_over_the_wire_is_found() {
    // Each breaks one thing, and what fails is the case that is about it.
    for (breaks, case) in [
        ("commit = server.commit; server.commit = lambda s, asked: commit(s, {**asked, 'checks': []})", "checks"),
        ("read = server.read; server.read = lambda s, asked: read(s, {**asked, 'reverse': False})", "scan"),
        (
            "server.mutation = lambda one, made=server.mutation: made(one if 'add' not in one else {'add': [one['add'][0], '1']})",
            "counters",
        ),
    ] {
        let data = DataDirectory::new(&format!("wire-broken-{case}"));
        let behind = broken_storage(data.path(), breaks);
        let found = send(&serve_check(&by_call(&url(&behind))), &Request::new("POST", format!("/{case}")));
        assert_eq!((found.status, &found.json()["verdict"]), (500, &json!("failed")), "{breaks}: {found}");
    }
}

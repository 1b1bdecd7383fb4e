//! The applications of `examples/` in Node and Python, as processes of their own, with the packages that they were installed
//! with: `cargo xtask test` puts them into `target/node-app` and `target/python-app`.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use scimwell_tests::client::{Client, Request, Response};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::scenario::{recorded, replay_all};
use scimwell_tests::server::{Server, TOKEN, workspace};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// An application.
#[derive(Clone, Copy)]
enum Language {
    Node,
    Python,
}

impl Language {
    /// Starts it on the database in a directory; `seats` are those of each account.
    fn start(self, data: &Path, seats: u32) -> Server {
        let target = workspace().join("target");
        let mut command = match self {
            Self::Node => {
                let directory = target.join("node-app");
                let mut command = Command::new("node");
                command.arg(installed(directory.join("server.js")));
                command
            }
            Self::Python => {
                let mut command = Command::new(installed(target.join("python-app/bin/python")));
                command.arg(workspace().join("examples/python-app/app.py"));
                command
            }
        };
        command
            .env("DATABASE", database(data))
            .env("SEATS", seats.to_string())
            .env("SCIM_TOKEN", TOKEN)
            .env("PORT", "0");
        Server::spawn(command)
    }
}

fn database(data: &Path) -> PathBuf {
    data.join("app.db")
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `cargo xtask packages --install` first", path.display());
    path
}

fn create(client: &mut Client, tenant: &str, name: &str) -> Response {
    let body = json!({ "schemas": [USER], "userName": name });
    send(client, Request::new("POST", format!("/t/{tenant}/scim/v2/Users")).json(&body))
}

fn set_active(client: &mut Client, tenant: &str, id: &str, active: bool) -> Response {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": active } }],
    });
    send(client, Request::new("PATCH", format!("/t/{tenant}/scim/v2/Users/{id}")).json(&body))
}

fn send(client: &mut Client, request: Request) -> Response {
    client.send(&request.bearer(TOKEN)).expect("the application answers")
}

/// The application's own table: names and whether each may sign in.
fn users(client: &mut Client, account: &str) -> Vec<(String, bool)> {
    let response =
        client.send(&Request::new("GET", format!("/accounts/{account}/users"))).expect("the application answers");
    let rows: Vec<Value> = serde_json::from_value(response.json()).expect("the application lists its users");
    rows.iter().map(|row| (row["name"].as_str().unwrap_or_default().to_owned(), row["active"] == json!(true))).collect()
}

fn expect_users(client: &mut Client, account: &str, expect: &[(&str, bool)]) {
    let expect: Vec<(String, bool)> = expect.iter().map(|(name, active)| ((*name).to_owned(), *active)).collect();
    assert_eq!(users(client, account), expect);
}

/// Everything that recorded identity providers do passes, as on our own server.
fn scenarios(language: Language, name: &str) {
    let Some(scenarios) = recorded() else { return };
    let data = DataDirectory::new(&format!("{name}-scenarios"));
    let server = language.start(data.path(), 1_000_000);
    let (passed, report) = replay_all(&scenarios, &server, TOKEN);
    assert_eq!(passed, scenarios.len(), "{report}");
}

/// The users' table follows every kind of change before its reply, and the seats are counted in it.
fn seats(language: Language, name: &str) {
    let data = DataDirectory::new(&format!("{name}-seats"));
    let server = language.start(data.path(), 2);
    let client = &mut server.client();
    let ann = create(client, "acme", "ann").json()["id"].as_str().expect("ann is created").to_owned();
    assert_eq!(create(client, "acme", "bob").status, 201);
    let refused = create(client, "acme", "cid");
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.starts_with("No seats left")), "{refused}");
    expect_users(client, "acme", &[("ann", true), ("bob", true)]);
    // Another account has seats of its own.
    assert_eq!(create(client, "other", "cid").status, 201);
    expect_users(client, "other", &[("cid", true)]);

    assert_eq!(set_active(client, "acme", &ann, false).status, 200);
    expect_users(client, "acme", &[("ann", false), ("bob", true)]);
    let cid = create(client, "acme", "cid").json()["id"].as_str().expect("ann's seat is free").to_owned();
    assert_eq!(set_active(client, "acme", &ann, true).status, 403);
    let renamed = json!({ "schemas": [USER], "userName": "cyd" });
    let replaced = send(client, Request::new("PUT", format!("/t/acme/scim/v2/Users/{cid}")).json(&renamed));
    assert_eq!(replaced.status, 200, "{replaced}");
    expect_users(client, "acme", &[("ann", false), ("bob", true), ("cyd", true)]);
    let deleted = send(client, Request::new("DELETE", format!("/t/acme/scim/v2/Users/{cid}")));
    assert_eq!(deleted.status, 204, "{deleted}");
    assert_eq!(set_active(client, "acme", &ann, true).status, 200);
    expect_users(client, "acme", &[("ann", true), ("bob", true)]);
}

/// One Bulk request gets no more seats than there are, though the table is brought up to date only after it.
fn seats_in_bulk(language: Language, name: &str) {
    let data = DataDirectory::new(&format!("{name}-bulk"));
    let server = language.start(data.path(), 3);
    let client = &mut server.client();
    let operation = |n: u32| json!({ "method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": { "schemas": [USER], "userName": format!("user{n}") } });
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": (1..=5).map(operation).collect::<Vec<_>>(),
    });
    let answer = send(client, Request::new("POST", "/t/acme/scim/v2/Bulk").json(&body));
    let statuses: Vec<Value> = answer.json()["Operations"]
        .as_array()
        .expect("an answer each")
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(statuses, ["201", "201", "201", "403", "403"], "{answer}");
    assert_eq!(users(client, "acme").len(), 3);
}

/// Killed between a commit and what follows from it, the application catches up when it starts.
fn catches_up(language: Language, name: &str) {
    let data = DataDirectory::new(&format!("{name}-crash"));
    let server = language.start(data.path(), 10);
    let client = &mut server.client();
    let ann = create(client, "acme", "ann").json()["id"].as_str().expect("ann is created").to_owned();
    assert_eq!(create(client, "acme", "bob").status, 201);
    assert_eq!(set_active(client, "acme", &ann, false).status, 200);
    server.kill();

    // As it would be had the process died before it followed the last two of the three changes.
    let file = Connection::open(database(data.path())).expect("the database opens");
    file.execute("UPDATE followed SET sequence = 1 WHERE account = 'acme'", ()).expect("its place is set back");
    file.execute("DELETE FROM users WHERE name = 'bob'", ()).expect("bob is not there yet");
    file.execute("UPDATE users SET active = 1", ()).expect("ann is active still");
    drop(file);

    let server = language.start(data.path(), 10);
    let client = &mut server.client();
    expect_users(client, "acme", &[("ann", false), ("bob", true)]);
    let found = send(client, Request::new("GET", "/t/acme/scim/v2/Users"));
    assert_eq!(found.json()["totalResults"], json!(2), "what was acknowledged is there");
}

/// Requests at once: one commit wins each name.
fn at_once(language: Language, name: &str) {
    let data = DataDirectory::new(&format!("{name}-at-once"));
    let server = language.start(data.path(), 1000);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    (0..10).map(|n| create(&mut client, "acme", &format!("user{n}")).status).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 30, "{statuses:?}");
    assert_eq!(users(&mut server.client(), "acme").len(), 10);
}

macro_rules! applications {
    ($($case:ident)*) => {
        mod node {
            $(#[test] fn $case() { super::$case(super::Language::Node, "node"); })*
        }
        mod python {
            $(#[test] fn $case() { super::$case(super::Language::Python, "python"); })*
        }
    };
}

applications! { scenarios seats seats_in_bulk catches_up at_once }

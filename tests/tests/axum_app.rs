//! `examples/axum-app` as a process of its own: provisioned as identity providers do it, held to its seats, and true to what
//! SCIM says whatever happens to it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use scimwell_tests::client::{Client, Request, Response};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::scenario::{recorded, replay};
use scimwell_tests::server::{Server, built};
use serde_json::{Value, json};

/// What the operator proves herself by.
const SECRET: &str = "operators-secret";
/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The application on a database, which outlives its processes.
struct App {
    server: Server,
    directory: DataDirectory,
}

impl App {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let directory = DataDirectory::new(&format!("axum-app-{name}"));
        Self { server: run(&directory, arguments), directory }
    }

    /// kill -9, what `meanwhile` does, and the next start.
    fn kill_and_start(self, meanwhile: impl FnOnce(&DataDirectory)) -> Self {
        let Self { server, directory } = self;
        server.kill();
        meanwhile(&directory);
        Self { server: run(&directory, &[]), directory }
    }

    /// A new customer's connection.
    fn sign_up(&self, name: &str, seats: u32) -> Customer {
        let mut client = self.server.client();
        let request = Request::new("POST", "/customers").bearer(SECRET).json(&json!({ "name": name, "seats": seats }));
        let answer = client.send(&plain(request)).expect("the application answers");
        assert_eq!(answer.status, 201, "{answer}");
        let token = answer.json()["scim"]["token"].as_str().expect("a token").to_owned();
        Customer { client, name: name.to_owned(), token }
    }

    /// The same customer by another process, or by another connection.
    fn again(&self, customer: &Customer) -> Customer {
        Customer { client: self.server.client(), name: customer.name.clone(), token: customer.token.clone() }
    }
}

fn run(directory: &DataDirectory, arguments: &[&str]) -> Server {
    let program = built("axum-app");
    assert!(program.exists(), "{} is missing: run `cargo build --release -p axum-app` first", program.display());
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--secret", SECRET, "--database"]).arg(database(directory));
    command.args(arguments);
    Server::spawn(command)
}

fn database(directory: &DataDirectory) -> PathBuf {
    directory.path().join("app.db")
}

/// The application's own routes take JSON as such.
fn plain(mut request: Request) -> Request {
    for (name, value) in &mut request.headers {
        if name.eq_ignore_ascii_case("content-type") {
            "application/json".clone_into(value);
        }
    }
    request
}

/// A customer's identity provider, and her people's browsers.
struct Customer {
    client: Client,
    name: String,
    token: String,
}

impl Customer {
    fn scim(&mut self, method: &str, path: &str, body: &Value) -> Response {
        let mut request = Request::new(method, format!("/scim/v2{path}")).bearer(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        self.client.send(&request).expect("the application answers")
    }

    fn create(&mut self, name: &str) -> Response {
        self.scim("POST", "/Users", &json!({ "userName": name, "active": true }))
    }

    /// Creates a user; her id.
    fn user(&mut self, name: &str) -> String {
        let response = self.create(name);
        assert_eq!(response.status, 201, "{response}");
        response.json()["id"].as_str().expect("a user has an id").to_owned()
    }

    fn replace(&mut self, id: &str, value: &Value) -> Response {
        self.scim("PATCH", &format!("/Users/{id}"), &patch(value))
    }

    fn sign_in(&mut self, name: &str) -> Response {
        let body = json!({ "customer": self.name, "user_name": name });
        let request = plain(Request::new("POST", "/sessions").bearer(SECRET).json(&body));
        self.client.send(&request).expect("the application answers")
    }

    /// A session of hers.
    fn session(&mut self, name: &str) -> String {
        let answer = self.sign_in(name);
        assert_eq!(answer.status, 201, "{answer}");
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    fn is_signed_in(&mut self, session: &str) -> bool {
        let answer =
            self.client.send(&Request::new("GET", "/session").bearer(session)).expect("the application answers");
        assert!(matches!(answer.status, 200 | 401), "{answer}");
        answer.status == 200
    }

    /// Waits until the session has ended.
    fn until_signed_out(&mut self, session: &str) {
        until(|| !self.is_signed_in(session), "the session goes on");
    }

    /// Of each user whether she has access, as SCIM says.
    fn by_scim(&mut self) -> BTreeMap<String, bool> {
        let mut users = BTreeMap::new();
        loop {
            let path = format!("/Users?attributes=userName,active&count=200&startIndex={}", users.len() + 1);
            let page = self.scim("GET", &path, &Value::Null).json();
            let resources = page["Resources"].as_array().cloned().unwrap_or_default();
            if resources.is_empty() {
                return users;
            }
            users.extend(resources.iter().map(|user| {
                (user["userName"].as_str().unwrap_or_default().to_owned(), user["active"] != json!(false))
            }));
        }
    }
}

/// The same, as the application has it in its own table.
fn by_application(directory: &DataDirectory, customer: &str) -> BTreeMap<String, bool> {
    let connection = open(directory);
    let mut statement =
        connection.prepare("SELECT user_name, active FROM user WHERE customer = ?1").expect("the table is there");
    let users = statement.query_map([customer], |row| Ok((row.get(0)?, row.get(1)?))).expect("the table can be read");
    users.map(|user| user.expect("a row can be read")).collect()
}

fn open(directory: &DataDirectory) -> Connection {
    Connection::open(database(directory)).expect("the database can be opened")
}

/// From now on the application fails to take changes over, or no longer.
fn break_callbacks(directory: &DataDirectory, broken: bool) {
    let statement = match broken {
        true => "CREATE TRIGGER broken BEFORE UPDATE OF told ON customer BEGIN SELECT RAISE(ABORT, 'broken'); END",
        false => "DROP TRIGGER broken",
    };
    open(directory).execute_batch(statement).expect("the database takes a trigger");
}

fn patch(value: &Value) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": value }],
    })
}

fn until(mut holds: impl FnMut() -> bool, otherwise: &str) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{otherwise}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn identity_providers() {
    // The recorded traffic is not part of this repository.
    let Some(scenarios) = recorded() else { return };
    let app = App::start("scenarios", &[]);
    let mut failed = Vec::new();
    for scenario in &scenarios {
        let id = scenario["id"].as_str().expect("a scenario has an id");
        let mut customer = app.sign_up(id, 1000);
        let token = customer.token.clone();
        let result = replay(scenario, &format!("r{id}").replace('-', ""), &token, |request| {
            let mut request = request.clone();
            request.target = format!("/scim/v2{}", request.target);
            customer.client.send(&request).map_err(|error| error.to_string())
        });
        if let Err(error) = result {
            failed.push(format!("{id}: {error}"));
        }
        assert_eq!(customer.by_scim(), by_application(&app.directory, id), "after {id}");
    }
    assert!(failed.is_empty(), "{}\n{} of {} fail", failed.join("\n"), failed.len(), scenarios.len());
}

#[test]
fn seats() {
    const SEATS: u32 = 4;
    const RACERS: usize = 12;
    let app = App::start("seats", &[]);
    let mut acme = app.sign_up("acme", SEATS);
    app.sign_up("other", 1).user("somebody");
    let barrier = Barrier::new(RACERS);
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for racer in 0..RACERS {
            let (mut customer, barrier, answers) = (app.again(&acme), &barrier, &answers);
            scope.spawn(move || {
                barrier.wait();
                let answer = customer.create(&format!("racer{racer}@acme.example"));
                answers.lock().expect("no racer panicked").push(answer);
            });
        }
    });
    let answers = answers.into_inner().expect("no racer panicked");
    let (let_in, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((let_in.len(), refused.len()), (SEATS as usize, RACERS - SEATS as usize), "{answers:?}");
    for answer in refused {
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 403, "{answer}");
        assert!(detail.contains("no seats left: all 4 seats of acme are taken. Deactivate a user"), "{detail}");
    }
    assert_eq!(acme.by_scim(), by_application(&app.directory, "acme"));

    // Somebody who leaves makes room; a user without access needs none; one who comes back does.
    let leaving = let_in[0].json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(acme.scim("POST", "/Users", &json!({ "userName": "later", "active": false })).status, 201);
    assert_eq!(acme.replace(&leaving, &json!({ "active": false })).status, 200);
    acme.user("newcomer");
    assert_eq!(acme.replace(&leaving, &json!({ "active": true })).status, 403);
    // Who has a seat may change in any other way.
    let staying = let_in[1].json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(acme.replace(&staying, &json!({ "title": "Dr" })).status, 200);
    let request = Request::new("PATCH", "/customers/acme").bearer(SECRET).json(&json!({ "seats": SEATS + 1 }));
    assert_eq!(acme.client.send(&plain(request)).expect("an answer").status, 200);
    assert_eq!(acme.replace(&leaving, &json!({ "active": true })).status, 200);
}

#[test]
fn sessions_end_before_the_reply() {
    let app = App::start("sessions", &[]);
    let mut acme = app.sign_up("acme", 10);
    let (ann, bob) = (acme.user("ann"), acme.user("bob"));
    let (hers, his, other) = (acme.session("Ann"), acme.session("bob"), acme.session("ann"));
    assert!(acme.is_signed_in(&hers) && acme.is_signed_in(&his) && acme.is_signed_in(&other));

    assert_eq!(acme.replace(&ann, &json!({ "active": false })).status, 200);
    assert!(!acme.is_signed_in(&hers) && !acme.is_signed_in(&other) && acme.is_signed_in(&his));
    assert_eq!(acme.sign_in("ann").status, 403);
    assert_eq!(acme.scim("DELETE", &format!("/Users/{bob}"), &Value::Null).status, 204);
    assert!(!acme.is_signed_in(&his));

    assert_eq!(acme.replace(&ann, &json!({ "active": true, "userName": "ann.lee", "displayName": "Ann" })).status, 200);
    let hers = acme.session("ann.lee");
    let me = acme.client.send(&Request::new("GET", "/session").bearer(&hers)).expect("an answer").json();
    let user = json!({ "user_name": "ann.lee", "display_name": "Ann", "email": null, "active": true });
    assert_eq!(me, json!({ "customer": "acme", "user": user }));
    // Nor is there a way in for strangers.
    let stranger = Request::new("POST", "/sessions").bearer(&acme.token).json(&json!({}));
    assert_eq!(acme.client.send(&plain(stranger)).expect("an answer").status, 401);
}

#[test]
fn behind_the_reply() {
    let app = App::start("background", &["--delivery", "background"]);
    let mut acme = app.sign_up("acme", 10);
    let ann = acme.user("ann");
    until(|| by_application(&app.directory, "acme").contains_key("ann"), "nobody told of ann");
    let hers = acme.session("ann");
    assert_eq!(acme.replace(&ann, &json!({ "active": false })).status, 200);
    acme.until_signed_out(&hers);
}

#[test]
fn a_callback_that_fails_is_called_again() {
    let app = App::start("callback", &[]);
    let mut acme = app.sign_up("acme", 10);
    let mut other = app.sign_up("other", 10);
    let ann = acme.user("ann");
    let hers = acme.session("ann");
    break_callbacks(&app.directory, true);
    // The change is made, and the answer says so.
    assert_eq!(acme.replace(&ann, &json!({ "active": false })).status, 200);
    acme.user("bob");
    other.user("somebody");
    assert!(acme.is_signed_in(&hers));
    assert_eq!(by_application(&app.directory, "acme"), BTreeMap::from([("ann".to_owned(), true)]));
    break_callbacks(&app.directory, false);
    // Nobody has to ask for it.
    acme.until_signed_out(&hers);
    until(|| acme.by_scim() == by_application(&app.directory, "acme"), "acme's users are not told");
    until(|| other.by_scim() == by_application(&app.directory, "other"), "other's users are not told");
}

#[test]
fn killed_between_commit_and_callback() {
    let app = App::start("killed", &[]);
    let mut acme = app.sign_up("acme", 10);
    let ann = acme.user("ann");
    let hers = acme.session("ann");
    break_callbacks(&app.directory, true);
    assert_eq!(acme.replace(&ann, &json!({ "active": false })).status, 200);
    assert!(acme.is_signed_in(&hers));
    let app = app.kill_and_start(|directory| break_callbacks(directory, false));
    // When the next process listens, it has caught up: nothing to wait for.
    let mut acme = app.again(&acme);
    assert!(!acme.is_signed_in(&hers));
    assert_eq!(acme.by_scim(), by_application(&app.directory, "acme"));
}

#[test]
fn kills_at_any_moment_leave_the_table_true() {
    const CLIENTS: usize = 4;
    const KILLS: usize = 4;
    let mut app = App::start("kills", &[]);
    let acme = app.sign_up("acme", 100_000);
    for round in 0..KILLS {
        let answered = Mutex::new(0_usize);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (customer, answered) = (app.again(&acme), &answered);
                scope.spawn(move || write_until_it_ends(customer, &format!("{round}-{client}"), answered));
            }
            until(
                || *answered.lock().expect("no client panicked") > 30 + 17 * round,
                "the application does not answer",
            );
            // The clients' connections end with it.
            let status = Command::new("kill").args(["-KILL", &app.server.pid().to_string()]).status();
            assert!(status.is_ok_and(|status| status.success()));
        });
        app = app.kill_and_start(|_| {});
        let mut acme = app.again(&acme);
        let users = acme.by_scim();
        assert!(users.len() > round && users.values().any(|active| !active), "{users:?}");
        assert_eq!(users, by_application(&app.directory, "acme"), "after kill {round}");
    }
}

/// Creates users and deactivates every other one.
fn write_until_it_ends(mut customer: Customer, name: &str, answered: &Mutex<usize>) {
    for n in 0.. {
        let user = json!({ "userName": format!("{name}-{n}"), "active": true });
        let request = Request::new("POST", "/scim/v2/Users").bearer(&customer.token).json(&user);
        let Ok(created) = customer.client.send(&request) else { return };
        assert_eq!(created.status, 201, "{created}");
        *answered.lock().expect("no client panicked") += 1;
        if n % 2 == 0 {
            let path = format!("/scim/v2/Users/{}", created.json()["id"].as_str().expect("an id"));
            let request = Request::new("PATCH", path).bearer(&customer.token).json(&patch(&json!({ "active": false })));
            let Ok(changed) = customer.client.send(&request) else { return };
            assert_eq!(changed.status, 200, "{changed}");
        }
    }
}

#[test]
fn clients_that_do_not_wait_for_the_answer() {
    const USERS: u64 = 30;
    let app = App::start("vanished", &[]);
    let mut acme = app.sign_up("acme", 100);
    let ids: Vec<String> = (0..USERS).map(|n| acme.user(&format!("u{n}"))).collect();
    for (n, id) in (0..).zip(&ids) {
        let body = patch(&json!({ "active": false })).to_string();
        let mut stream = TcpStream::connect(app.server.address()).expect("the application listens");
        let head = format!(
            "PATCH /scim/v2/Users/{id} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Type: application/scim+json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            acme.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("the application reads");
        // Each goes away at another moment of the work.
        thread::sleep(Duration::from_micros(100 * n));
    }
    until(|| acme.by_scim().values().any(|active| !active), "nothing was done for any of them");
    until(|| acme.by_scim() == by_application(&app.directory, "acme"), "what was committed was not told");
}

//! Several servers on one PostgreSQL database: what races through different ones ends as if one had come after the other,
//! and what one has acknowledged all have, whatever happens to the one.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use scimwell_tests::client::{Client, Response};
use scimwell_tests::data::DataDirectory;
use scimwell_tests::postgres::{PASSWORD, PostgresServer};
use scimwell_tests::race::{one_was_created, race};
use scimwell_tests::server::{Server, binary, in_default};
use serde_json::{Value, json};

/// Servers on one database.
const HOSTS: usize = 3;
/// Clients of all of them.
const CLIENTS: usize = 64;
/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

fn hosts(database: &str) -> Vec<Server> {
    (0..HOSTS).map(|_| Server::start(&["--storage", database])).collect()
}

#[test]
fn one_of_racing_creations_wins_through_whichever_host() {
    let postgres = PostgresServer::shared();
    let hosts = hosts(&postgres.database());
    for round in 0..5 {
        let clients = (0..CLIENTS).map(|racer| hosts[racer % HOSTS].client()).collect();
        let name = json!({"userName": format!("racer{round}")});
        one_was_created(&race(clients, |_| in_default("POST", "/Users").json(&name)));
        for host in &hosts {
            let filter = format!("/Users?filter=userName%20eq%20%22racer{round}%22");
            assert_eq!(send(&mut host.client(), "GET", &filter, None)["totalResults"], 1);
        }
    }
}

#[test]
fn members_added_through_all_hosts_are_all_there() {
    const RACERS: usize = 12;
    const EACH: usize = 8;
    let postgres = PostgresServer::shared();
    let hosts = hosts(&postgres.database());
    let mut client = hosts[0].client();
    let users: Vec<String> =
        (0..RACERS * EACH).map(|n| create(&mut client, "/Users", &json!({"userName": format!("m{n}")}))).collect();
    let group = create(&mut client, "/Groups", &json!({"displayName": "race"}));
    let barrier = Barrier::new(RACERS);
    thread::scope(|scope| {
        for (racer, users) in users.chunks(EACH).enumerate() {
            let (mut client, barrier, group) = (hosts[racer % HOSTS].client(), &barrier, &group);
            scope.spawn(move || {
                barrier.wait();
                for user in users {
                    let body = json!({
                        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                        "Operations": [{"op": "add", "path": "members", "value": [{"value": user}]}],
                    });
                    let request = in_default("PATCH", &format!("/Groups/{group}")).json(&body);
                    let response = client.send(&request).expect("the server answers");
                    assert!(matches!(response.status, 200 | 204), "{response}");
                }
            });
        }
    });
    let expected: BTreeSet<&str> = users.iter().map(String::as_str).collect();
    for host in &hosts {
        let group = send(&mut host.client(), "GET", &format!("/Groups/{group}"), None);
        let members = group["members"].as_array().expect("members");
        let ids: BTreeSet<&str> = members.iter().filter_map(|member| member["value"].as_str()).collect();
        assert_eq!(ids, expected);
        assert_eq!(members.len(), expected.len());
    }
}

/// Hosts are killed under load, one after the other, while the log is read through the one that stays.
#[test]
fn a_killed_host_takes_nothing_acknowledged_with_it() {
    const WRITERS: usize = 6;
    let postgres = PostgresServer::shared();
    let database = postgres.database();
    let stays = Server::start(&["--storage", &database]);
    let acknowledged = Mutex::new(BTreeMap::new());
    let done = AtomicBool::new(false);
    let records = thread::scope(|scope| {
        let reader = scope.spawn(|| read_log(&mut stays.client(), &done));
        for round in 0..4 {
            let victims = [Server::start(&["--storage", &database]), Server::start(&["--storage", &database])];
            let before = acknowledged.lock().expect("no writer panicked").len();
            thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let (mut client, acknowledged) = (victims[writer % 2].client(), &acknowledged);
                    scope.spawn(move || {
                        for n in 0.. {
                            let name = format!("kill-{round}-{writer}-{n}");
                            let request = in_default("POST", "/Users").json(&json!({"userName": name}));
                            // The connection ends when the host does.
                            let Ok(response) = client.send(&request) else { return };
                            assert_eq!(response.status, 201, "{response}");
                            let id = response.json()["id"].as_str().expect("a user has an id").to_owned();
                            acknowledged.lock().expect("no writer panicked").insert(id, name);
                        }
                    });
                }
                // Each host ends at another moment of its work.
                for (kill, victim) in victims.into_iter().enumerate() {
                    let enough = before + (kill + 1) * 60 + 17 * round;
                    wait_for(|| acknowledged.lock().expect("no writer panicked").len() >= enough);
                    victim.kill();
                }
            });
        }
        // What a killed host had sent may still be on its way into the database; it is whole or not there.
        done.store(true, Ordering::Release);
        reader.join().expect("the reader does not panic")
    });
    let acknowledged = acknowledged.into_inner().expect("no writer panicked");
    let mut client = stays.client();
    for (id, name) in &acknowledged {
        let read = send(&mut client, "GET", &format!("/Users/{id}"), None);
        assert_eq!(read["userName"], json!(name));
    }
    let created: Vec<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    let distinct: BTreeSet<&str> = created.iter().copied().collect();
    assert_eq!(created.len(), distinct.len(), "a record was read twice");
    for id in acknowledged.keys() {
        assert!(distinct.contains(id.as_str()), "the record of {id} was missed");
    }
    let all = read_log(&mut client, &AtomicBool::new(true));
    assert_eq!(records, all, "what was read while hosts wrote and died is what stands there in the end");
    let total = send(&mut client, "GET", "/Users?count=0", None)["totalResults"].as_u64().expect("a total");
    assert_eq!(total, all.len() as u64, "each user has its record, and each record its user");
}

/// Reads the log on from where the page before ended, until `done` and nothing follows.
fn read_log(client: &mut Client, done: &AtomicBool) -> Vec<Value> {
    let mut records: Vec<Value> = Vec::new();
    let mut after = 0;
    let mut quiet = 0;
    loop {
        let was_done = done.load(Ordering::Acquire);
        let page = send(client, "GET", &format!("/admin/log?count=7&after={after}"), None);
        let found = page["records"].as_array().expect("records");
        for record in found {
            let sequence = record["sequence"].as_u64().expect("a number");
            assert!(sequence > after, "{sequence} after {after}");
            after = sequence;
        }
        // Some time after the end, for what the database executes of a host that is gone.
        quiet = if was_done && found.is_empty() { quiet + 1 } else { 0 };
        if quiet == 20 {
            return records;
        }
        if found.is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        records.extend_from_slice(found);
    }
}

/// While the database is away requests are refused; once it is back they succeed, without a restart of the host.
#[test]
fn a_database_that_comes_back_is_used_again() {
    let mut postgres = PostgresServer::start();
    let server = Server::start(&["--storage", &postgres.database()]);
    let mut client = server.client();
    let mut acknowledged = BTreeMap::new();
    for crash in [false, true] {
        let stop = AtomicBool::new(false);
        let written = AtomicUsize::new(0);
        let found = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let (mut client, stop, written) = (server.client(), &stop, &written);
                    scope.spawn(move || {
                        let mut found = BTreeMap::new();
                        let mut n = 0;
                        while !stop.load(Ordering::Acquire) {
                            n += 1;
                            let name = format!("restart-{crash}-{writer}-{n}");
                            let request = in_default("POST", "/Users").json(&json!({"userName": name}));
                            let response = client.send(&request).expect("the host answers whatever the database does");
                            match response.status {
                                201 => {
                                    written.fetch_add(1, Ordering::AcqRel);
                                    found.insert(id_of(&response), name);
                                }
                                // Neither a password nor anything else of the database is told.
                                503 => assert!(!response.to_string().contains("postgres"), "{response}"),
                                _ => panic!("{response}"),
                            }
                        }
                        found
                    })
                })
                .collect();
            wait_for(|| written.load(Ordering::Acquire) >= 40);
            postgres.restart(crash);
            let before = written.load(Ordering::Acquire);
            wait_for(|| written.load(Ordering::Acquire) >= before + 40);
            stop.store(true, Ordering::Release);
            writers.into_iter().map(|writer| writer.join().expect("no writer panics")).collect::<Vec<_>>()
        });
        acknowledged.extend(found.into_iter().flatten());
    }
    for (id, name) in &acknowledged {
        assert_eq!(send(&mut client, "GET", &format!("/Users/{id}"), None)["userName"], json!(name));
    }
}

#[test]
fn the_command_line_works_beside_running_hosts() {
    let postgres = PostgresServer::shared();
    let database = postgres.database();
    let hosts = hosts(&database);
    run(&["tenant", "create", "acme", "--storage", &database]);
    let issued = run(&["token", "create", "--tenant", "acme", "--json", "--storage", &database]);
    let issued: Value = serde_json::from_str(&issued).expect("JSON");
    let (token, id) = (issued["token"].as_str().expect("a token"), issued["id"].as_str().expect("an id"));
    let users = |host: &Server| {
        let request = scimwell_tests::client::Request::new("GET", "/t/acme/scim/v2/Users").bearer(token);
        host.client().send(&request).expect("the server answers").status
    };
    for host in &hosts {
        assert_eq!(users(host), 200);
    }
    run(&["token", "revoke", id, "--storage", &database]);
    for host in &hosts {
        assert_eq!(users(host), 401, "a revoked token lets nobody in, at once and everywhere");
    }
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(binary()).args(arguments).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_database_that_cannot_be_used_is_named_and_its_password_is_not() {
    let postgres = PostgresServer::shared();
    let database = postgres.database();
    let wrong = database.replace(PASSWORD, "wr0ng-s3cret");
    check_refused(&wrong, "password authentication failed for user \"scimwell\" (28P01)");
    check_refused(&format!("{database}none"), "does not exist (3D000)");
    check_refused(&format!("{database}?sslmode=require"), "server does not support TLS");
    check_refused(&database.replace("@127", "@[127"), "--storage: invalid connection string");
    // A role that may not make tables, at the first start and after it.
    let name = database.rsplit('/').next().expect("a database");
    let create = "CREATE ROLE reader LOGIN PASSWORD 'wr0ng-s3cret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    postgres.sql(name, create).expect("a role can be made");
    let poor = wrong.replace("scimwell:", "reader:");
    check_refused(&poor, "permission denied for schema public");
    drop(Server::start(&["--storage", &database]));
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader";
    postgres.sql(name, grant).expect("rights can be granted");
    let server = Server::start(&["--storage", &poor]);
    create_user(&server, "ann");
    // Tables of a version to come.
    postgres.sql(name, "UPDATE scimwell_schema SET version = 99").expect("a row can be changed");
    check_refused(&database, "its tables are of version 99, and this program knows up to");
}

fn check_refused(url: &str, why: &str) {
    let output = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--storage", url])
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(why), "{said}");
    for secret in [PASSWORD, "s3cret"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn connections_are_encrypted_and_verified_where_the_url_asks_for_it() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let files = [("server.crt", cert.pem()), ("server.key", signing_key.serialize_pem())];
    let settings = ["fsync=off", "ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"];
    let postgres = PostgresServer::start_with(&settings, &files);
    let directory = DataDirectory::new("tls");
    let trusted = directory.path().join("ca.pem");
    std::fs::write(&trusted, cert.pem()).expect("a file can be written");
    let database = postgres.database();

    let url = format!("{database}?sslmode=verify-full&sslrootcert={}", trusted.display());
    let server = Server::start(&["--storage", &url]);
    create_user(&server, "ann");
    let count = "SELECT count(*) > 0 AND bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                 WHERE a.application_name = 'scimwell'";
    assert_eq!(postgres.sql("postgres", count).expect("a statement runs"), "t");
    check_refused(&format!("{database}?sslmode=require"), "error performing TLS handshake");
    check_refused(&format!("{database}?sslmode=require&sslrootcert=/none.pem"), "sslrootcert: /none.pem: ");
}

fn create_user(server: &Server, name: &str) -> String {
    create(&mut server.client(), "/Users", &json!({"userName": name}))
}

fn create(client: &mut Client, path: &str, body: &Value) -> String {
    let created = send(client, "POST", path, Some(body));
    created["id"].as_str().unwrap_or_else(|| panic!("no id: {created}")).to_owned()
}

fn id_of(response: &Response) -> String {
    response.json()["id"].as_str().expect("a resource has an id").to_owned()
}

/// A request that must succeed; its body.
fn send(client: &mut Client, method: &str, path: &str, body: Option<&Value>) -> Value {
    let mut request = in_default(method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = client.send(&request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    assert!((200..300).contains(&response.status), "{method} {path}: {response}");
    response.json()
}

fn wait_for(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "nothing happens any more");
        thread::sleep(Duration::from_millis(1));
    }
}

//! What was acknowledged stays, whatever happens to the process; what races ends as if one had come after the other.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use scimwell_tests::client::Client;
use scimwell_tests::data::DataDirectory;
use scimwell_tests::race::{one_was_created, race};
use scimwell_tests::server::{Server, TOKEN, in_default};
use serde_json::{Value, json};

const CLIENTS: usize = 8;
const KILLS: usize = 5;
const RACERS: usize = 16;

#[test]
fn kill_loses_nothing_acknowledged() {
    let directory = DataDirectory::new("kill");
    let acknowledged = Mutex::new(BTreeMap::new());
    for round in 0..KILLS {
        let server = Server::with_data(directory.path());
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (mut connection, acknowledged) = (server.client(), &acknowledged);
                scope.spawn(move || {
                    for n in 0.. {
                        let name = format!("kill-{round}-{client}-{n}");
                        let request = in_default("POST", "/Users").json(&json!({"userName": name, "active": true}));
                        // The connection ends when the process does.
                        let Ok(response) = connection.send(&request) else { return };
                        assert_eq!(response.status, 201, "{response}");
                        let id = response.json()["id"].as_str().expect("a user has an id").to_owned();
                        acknowledged.lock().expect("no client panicked").insert(name, id);
                    }
                });
            }
            // Each round ends at another moment of the database's work.
            let enough = acknowledged.lock().expect("no client panicked").len() + 40 + 17 * round;
            while acknowledged.lock().expect("no client panicked").len() < enough {
                thread::sleep(Duration::from_millis(1));
            }
            server.kill();
        });
    }
    let acknowledged = acknowledged.into_inner().expect("no client panicked");
    let server = Server::with_data(directory.path());
    check_whole(&server, &acknowledged);
}

/// Every acknowledged user can be read, found and not created twice; the total is what a walk through the pages finds.
fn check_whole(server: &Server, acknowledged: &BTreeMap<String, String>) {
    let mut client = server.client();
    for (name, id) in acknowledged {
        let read = send(&mut client, "GET", &format!("/Users/{id}"), None);
        assert_eq!(read["userName"], json!(name), "{read}");
    }
    for (name, id) in acknowledged.iter().step_by(7) {
        let found = send(&mut client, "GET", &format!("/Users?filter=userName%20eq%20%22{name}%22"), None);
        assert_eq!(found["Resources"][0]["id"], json!(id), "{found}");
        let again =
            client.send(&in_default("POST", "/Users").json(&json!({"userName": name}))).expect("the server answers");
        assert_eq!(again.status, 409, "{again}");
    }
    let total = send(&mut client, "GET", "/Users?count=0", None)["totalResults"].as_u64().expect("a total");
    let mut walked = 0;
    loop {
        let page = send(&mut client, "GET", &format!("/Users?attributes=id&count=500&startIndex={}", walked + 1), None);
        match page["Resources"].as_array().map_or(0, Vec::len) as u64 {
            0 => break,
            some => walked += some,
        }
    }
    assert_eq!(total, walked);
    // A commit that was not acknowledged may have been made: at most one a client and kill.
    let least = acknowledged.len() as u64;
    assert!((least..=least + (CLIENTS * KILLS) as u64).contains(&total), "{total} users, {least} acknowledged");
}

#[test]
fn one_of_racing_creations_wins() {
    let directory = DataDirectory::new("race");
    let server = Server::with_data(directory.path());
    for round in 0..10 {
        let clients = (0..RACERS).map(|_| server.client()).collect();
        one_was_created(&race(clients, |racer| {
            // userName ignores case (RFC 7643 §4.1.1), in a race as well.
            let name = if racer % 2 == 0 { format!("racer{round}") } else { format!("RACER{round}") };
            in_default("POST", "/Users").json(&json!({"userName": name}))
        }));
    }
}

#[test]
fn racing_member_changes_are_all_kept() {
    const EACH: usize = 10;
    let directory = DataDirectory::new("members");
    let server = Server::with_data(directory.path());
    let mut client = server.client();
    let users: Vec<String> =
        (0..RACERS * EACH * 2).map(|n| create(&mut client, "/Users", &json!({"userName": format!("m{n}")}))).collect();
    let (staying, leaving) = users.split_at(RACERS * EACH);
    let members: Vec<Value> = leaving.iter().map(|id| json!({"value": id})).collect();
    let group = create(&mut client, "/Groups", &json!({"displayName": "race", "members": members}));

    let barrier = Barrier::new(RACERS);
    thread::scope(|scope| {
        for (racer, (add, remove)) in staying.chunks(EACH).zip(leaving.chunks(EACH)).enumerate() {
            let (mut client, barrier, group) = (server.client(), &barrier, &group);
            scope.spawn(move || {
                barrier.wait();
                for (add, remove) in add.iter().zip(remove) {
                    let operations = [
                        json!({"op": "add", "path": "members", "value": [{"value": add}]}),
                        json!({"op": "remove", "path": format!("members[value eq \"{remove}\"]")}),
                    ];
                    // Some in one request, some in two.
                    for operations in operations.chunks(1 + racer % 2) {
                        let body = json!({
                            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                            "Operations": operations,
                        });
                        let request = in_default("PATCH", &format!("/Groups/{group}")).json(&body);
                        let response = client.send(&request).expect("the server answers");
                        assert!(matches!(response.status, 200 | 204), "{response}");
                    }
                }
            });
        }
    });

    let after = send(&mut client, "GET", &format!("/Groups/{group}"), None);
    let ids = after["members"].as_array().expect("members").iter().map(|m| m["value"].as_str().unwrap_or_default());
    let mut ids: Vec<&str> = ids.collect();
    let mut expected: Vec<&str> = staying.iter().map(String::as_str).collect();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[test]
fn a_request_in_flight_outlives_sigterm() {
    let directory = DataDirectory::new("sigterm");
    let server = Server::with_data(directory.path());
    let address = server.address();
    let body = json!({"userName": "in-flight"}).to_string();
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: \
         application/scim+json\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time-out can be set");
    stream.write_all(head.as_bytes()).expect("the server reads");
    // The server asks for the body: from here on the request is in flight.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("100 Continue");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.terminate();
    let started = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(started.elapsed() < Duration::from_mins(1), "the server still accepts connections after SIGTERM");
        thread::sleep(Duration::from_millis(5));
    }
    stream.write_all(body.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let status = server.wait();
    assert!(status.success(), "{status}");

    let server = Server::with_data(directory.path());
    let found = send(&mut server.client(), "GET", "/Users?filter=userName%20eq%20%22in-flight%22", None);
    assert_eq!(found["totalResults"], 1, "{found}");
}

#[test]
fn one_data_directory_serves_one_process() {
    let directory = DataDirectory::new("locked");
    let _server = Server::with_data(directory.path());
    let second = second_start(directory.path());
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).to_lowercase();
    assert!(said.contains("another") || said.contains("in use") || said.contains("locked"), "{said}");
}

fn second_start(directory: &Path) -> std::process::Output {
    std::process::Command::new(scimwell_tests::server::binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(directory)
        .output()
        .expect("the server binary runs")
}

fn create(client: &mut Client, path: &str, body: &Value) -> String {
    let created = send(client, "POST", path, Some(body));
    created["id"].as_str().unwrap_or_else(|| panic!("no id: {created}")).to_owned()
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

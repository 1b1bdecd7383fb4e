//! Dry runs and `Idempotency-Key` over the reference store.

use scimwell_guest::http::Response;
use scimwell_guest::limits;
use serde_json::json;

mod common;

use common::{Json, TestHost, create, group, log, ok, patch, send};

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str())
}

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap_or(Json::Null)
}

fn bulk(names: &[&str]) -> Json {
    let operation =
        |name: &&str| json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": { "userName": name } });
    json!({ "Operations": names.iter().map(operation).collect::<Vec<_>>() })
}

/// The answer without what differs between two equal requests: new ids and times.
fn timeless(response: &Response) -> (u16, Vec<String>, Json) {
    fn strip(value: &mut Json) {
        match value {
            Json::Array(values) => values.iter_mut().for_each(strip),
            Json::Object(object) => {
                object.retain(|key, _| !["id", "location", "created", "lastModified"].contains(&key.as_str()));
                object.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    let mut body = body(response);
    strip(&mut body);
    let fields = response.headers.iter().filter(|h| h.name != "scimwell-dry-run");
    let fields = fields.map(|h| if h.name == "location" { h.name.clone() } else { format!("{}: {}", h.name, h.value) });
    (response.status, fields.collect(), body)
}

#[test]
fn a_dry_run_answers_as_the_real_one_and_changes_nothing() {
    let host = TestHost::default();
    let path = format!("/Users/{}", create(&host, "ann"));
    let staff = format!("/Groups/{}", group(&host, "staff", &[path.rsplit('/').next().unwrap()]));
    let title = patch(&json!({ "op": "add", "path": "title", "value": "Dr" }));
    let requests = [
        ("POST", "/Users", Some(json!({ "userName": "bob" }))),
        ("POST", "/Users", Some(json!({ "userName": "ANN" }))),
        ("POST", "/Users?attributes=userName", Some(json!({ "userName": "eve", "title": 7 }))),
        ("PUT", path.as_str(), Some(json!({ "userName": "anna", "displayName": "Anna" }))),
        ("PATCH", path.as_str(), Some(title.clone())),
        ("PATCH", "/Users/none", Some(title)),
        ("PATCH", staff.as_str(), Some(patch(&json!({ "op": "remove", "path": "members" })))),
        ("POST", "/Bulk", Some(bulk(&["x", "y", "anna"]))),
        ("DELETE", path.as_str(), None),
    ];
    for (method, target, body) in requests {
        let before = host.memory.dump();
        let rehearsed = send(&host, method, target, &[("scimwell-dry-run", "True")], body.clone());
        assert_eq!(host.memory.dump(), before, "the dry run of {method} {target} changed something");
        assert_eq!(header(&rehearsed, "scimwell-dry-run"), Some("true"), "{method} {target}");
        let real = send(&host, method, target, &[("scimwell-dry-run", "false")], body);
        assert_eq!(header(&real, "scimwell-dry-run"), None);
        assert_eq!(timeless(&rehearsed), timeless(&real), "{method} {target}");
    }
}

#[test]
fn a_dry_run_asks_the_policy() {
    let host = TestHost { seats: Some(0), ..TestHost::default() };
    let rehearsed = send(&host, "POST", "/Users", &[("scimwell-dry-run", "true")], Some(json!({ "userName": "ann" })));
    assert_eq!((rehearsed.status, &body(&rehearsed)["detail"]), (403, &json!("No seats left: buy more.")));
}

#[test]
fn a_dry_run_of_bulk_sees_its_own_steps() {
    let host = TestHost::default();
    let operations = json!({ "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ann" } },
        { "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": "Ann" } },
        { "method": "PATCH", "path": "/Users/bulkId:a", "version": "W/\"1.0\"", "data": patch(
            &json!({ "op": "add", "path": "title", "value": "Dr" })
        ) },
        { "method": "DELETE", "path": "/Users/bulkId:a", "version": "W/\"2.0\"" },
        { "method": "POST", "path": "/Users", "bulkId": "c", "data": { "userName": "ann" } },
    ]});
    let rehearsed = send(&host, "POST", "/Bulk", &[("scimwell-dry-run", "true")], Some(operations));
    let body = body(&rehearsed);
    let statuses: Vec<&str> =
        body["Operations"].as_array().unwrap().iter().map(|o| o["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["201", "409", "200", "204", "201"]);
    assert!(host.memory.dump().is_empty());
}

#[test]
fn a_dry_run_is_asked_for_by_true_or_not_at_all() {
    let host = TestHost::default();
    let asked = send(&host, "POST", "/Users", &[("scimwell-dry-run", "yes")], Some(json!({ "userName": "ann" })));
    assert_eq!(asked.status, 400);
    assert!(host.memory.dump().is_empty());
    assert_eq!(send(&host, "GET", "/Users", &[("scimwell-dry-run", "yes")], None).status, 200);
}

fn keyed(host: &TestHost, target: &str, key: &str, body: &Json) -> Response {
    send(host, "POST", target, &[("idempotency-key", key)], Some(body.clone()))
}

#[test]
fn a_repeat_gets_the_first_answer() {
    let host = TestHost::default();
    let requests = [
        ("/Users", "k1", json!({ "userName": "ann" })),
        ("/Bulk", "k2", bulk(&["ann", "bob", "eve"])),
        ("/Groups", &"~".repeat(255), json!({ "displayName": "staff" })),
    ];
    for (target, key, request) in requests {
        let first = keyed(&host, target, key, &request);
        assert!(first.status < 300, "{target}");
        assert_eq!(header(&first, "idempotent-replayed"), None);
        let (before, records) = (host.memory.dump(), log(&host).len());
        let mut repeat = keyed(&host, target, key, &request);
        assert_eq!(
            repeat.headers.pop().map(|h| (h.name, h.value)),
            Some(("idempotent-replayed".into(), "true".into()))
        );
        assert_eq!(repeat, first);
        assert_eq!((host.memory.dump(), log(&host).len()), (before, records));
    }
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 3);
}

#[test]
fn a_key_is_for_one_request() {
    let host = TestHost::default();
    assert_eq!(keyed(&host, "/Users", "k", &json!({ "userName": "ann" })).status, 201);
    for (target, request) in [
        ("/Users", json!({ "userName": "bob" })),
        ("/Users?attributes=userName", json!({ "userName": "ann" })),
        ("/Bulk", bulk(&["bob"])),
    ] {
        let other = keyed(&host, target, "k", &request);
        assert_eq!((other.status, &body(&other)["scimType"]), (400, &json!("invalidValue")), "{target}");
        assert!(body(&other)["detail"].as_str().unwrap().starts_with("Idempotency-Key: the key was used"));
    }
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 1);
}

#[test]
fn keys_that_are_none() {
    let host = TestHost::default();
    for key in ["", &"k".repeat(256), "schlüssel", "a\tb"] {
        let answer = keyed(&host, "/Users", key, &json!({ "userName": "ann" }));
        assert_eq!(answer.status, 400, "{key:?}");
        assert!(body(&answer)["detail"].as_str().unwrap().starts_with("Idempotency-Key: a key has from 1 to 255"));
    }
    assert!(host.memory.dump().is_empty());
}

#[test]
fn errors_and_dry_runs_keep_no_answer() {
    let host = TestHost::default();
    let ann = create(&host, "ann");
    let request = json!({ "userName": "ann" });
    assert_eq!(keyed(&host, "/Users", "k", &request).status, 409);
    ok(&host, "DELETE", &format!("/Users/{ann}"), None);
    let headers = [("idempotency-key", "k"), ("scimwell-dry-run", "true")];
    assert_eq!(send(&host, "POST", "/Users", &headers, Some(request.clone())).status, 201);
    let done = keyed(&host, "/Users", "k", &request);
    assert_eq!((done.status, header(&done, "idempotent-replayed")), (201, None));
}

#[test]
fn of_two_at_once_one_executes() {
    let host = std::rc::Rc::new(TestHost::default());
    for (target, request) in [("/Groups", json!({ "displayName": "staff" })), ("/Bulk", bulk(&["ann"]))] {
        let (inner, copy) = (host.clone(), request.clone());
        let other = std::rc::Rc::new(std::cell::RefCell::new(None));
        let kept = other.clone();
        *host.interruption.borrow_mut() = Some(Box::new(move || {
            *kept.borrow_mut() = Some(keyed(&inner, target, target, &copy));
        }));
        let mut answer = keyed(&host, target, target, &request);
        assert_eq!(answer.headers.pop().map(|h| h.name).as_deref(), Some("idempotent-replayed"));
        assert_eq!(Some(answer), other.take());
    }
    assert_eq!(log(&host).len(), 2);
}

#[test]
fn after_a_day_a_key_is_new_and_its_answer_goes() {
    let host = TestHost::default();
    let request = json!({ "displayName": "staff" });
    keyed(&host, "/Groups", "k", &request);
    keyed(&host, "/Groups", "other", &request);
    host.clock.set(host.clock.get() + limits::IDEMPOTENCY_MILLISECONDS - 3_000);
    assert_eq!(header(&keyed(&host, "/Groups", "k", &request), "idempotent-replayed"), Some("true"));
    host.clock.set(host.clock.get() + 10_000);
    assert_eq!(header(&keyed(&host, "/Groups", "k", &request), "idempotent-replayed"), None);
    assert_eq!(ok(&host, "GET", "/Groups", None)["totalResults"], 3);
    let kept = || host.memory.dump().keys().filter(|key| matches!(key[0], b'k' | b'y')).count();
    assert_eq!(kept(), 3, "the new answer in two values, and its time");
    host.clock.set(host.clock.get() + limits::IDEMPOTENCY_MILLISECONDS + 1);
    create(&host, "ann");
    assert_eq!(kept(), 0);
}

#[test]
fn a_long_answer_is_kept_too() {
    let host = TestHost::default();
    let ids: Vec<Json> = (0..2_000).map(|i| json!({ "value": create(&host, &format!("user-{i}")) })).collect();
    let request = json!({ "displayName": "all", "members": ids });
    let first = keyed(&host, "/Groups", "k", &request);
    assert!(first.body.len() > limits::ANSWER_PART_BYTES);
    assert_eq!(keyed(&host, "/Groups", "k", &request).body, first.body);
}

//! The setting `reprovisioning`: what a POST comes to that meets somebody who is deactivated or deleted.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written where they are used")]

mod common;

use common::{Json, TestHost, create, group, kept, log, ok, patch, refused, send, values};
use scimwell_guest::http::Response;
use scimwell_guest::store::log::{Operation, Record, Reprovisioned};
use serde_json::json;

const ADMIN: (&str, &str) = ("authorization", "Bearer admin");
const DAY: u64 = 24 * 60 * 60 * 1_000;

fn tenant(settings: Json) -> TestHost {
    let host = TestHost::default();
    set(&host, settings);
    host
}

fn set(host: &TestHost, settings: Json) {
    let response = send(host, "PATCH", "/admin/settings", &[ADMIN], Some(settings));
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
}

fn reactivating() -> TestHost {
    tenant(json!({ "reprovisioning": "reactivate" }))
}

fn restoring() -> TestHost {
    tenant(json!({ "reprovisioning": "restore" }))
}

/// Somebody with everything; returns the id.
fn hire(host: &TestHost, name: &str, external: &str) -> String {
    let user = json!({ "userName": name, "externalId": external, "title": "Guide", "active": true });
    ok(host, "POST", "/Users", Some(user))["id"].as_str().unwrap().to_owned()
}

fn deactivate(host: &TestHost, id: &str) {
    let operation = patch(&json!({ "op": "replace", "path": "active", "value": false }));
    ok(host, "PATCH", &format!("/Users/{id}"), Some(operation));
}

fn delete(host: &TestHost, id: &str) {
    ok(host, "DELETE", &format!("/Users/{id}"), None);
}

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers.iter().find(|header| header.name == name).map_or("", |header| &header.value)
}

fn last(host: &TestHost) -> Record {
    log(host).pop().unwrap()
}

fn total(host: &TestHost, filter: &str) -> Json {
    ok(host, "GET", &format!("/Users?filter={filter}"), None)["totalResults"].clone()
}

/// Keys of tombstones.
fn remembered(host: &TestHost) -> usize {
    host.memory.dump().keys().filter(|key| matches!(key[..], [b'o' | b'j', ..] | [b'x', 0xFF, ..])).count()
}

#[test]
fn by_default_whoever_is_there_is_a_conflict_and_whoever_is_gone_is_new() {
    let host = TestHost::default();
    let (there, gone) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"));
    deactivate(&host, &there);
    delete(&host, &gone);
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "ANN" })), 409);
    assert!(detail.starts_with("userName: another User already has the value"), "{detail}");
    assert_ne!(hire(&host, "bob", "2"), gone);
    // externalId alone is in nobody's way, as ever.
    assert_ne!(hire(&host, "anna", "1"), there);
    assert_eq!(remembered(&host), 0);
}

#[test]
fn whoever_was_deactivated_becomes_what_the_post_says() {
    for (again, renamed) in [
        (json!({ "userName": "ANN", "nickName": "A" }), "ANN"),
        (json!({ "userName": "ann.lee", "externalId": "1", "active": "True" }), "ann.lee"),
        (json!({ "userName": "Ann", "externalId": "1", "active": true }), "Ann"),
    ] {
        let host = reactivating();
        let id = hire(&host, "ann", "1");
        let staff = group(&host, "staff", &[&id]);
        deactivate(&host, &id);
        let before = ok(&host, "GET", &format!("/Users/{id}"), None);
        let response = send(&host, "POST", "/Users", &[], Some(again.clone()));
        let user = body(&response);
        assert_eq!((response.status, &user["id"]), (201, &json!(id)), "{user}");
        assert_eq!(header(&response, "location"), format!("https://h/scim/v2/Users/{id}"));
        assert_eq!(header(&response, "etag"), user["meta"]["version"].as_str().unwrap());
        assert_ne!(user["meta"]["version"], before["meta"]["version"]);
        assert_eq!(user["meta"]["created"], before["meta"]["created"]);
        assert_eq!((&user["active"], &user["userName"]), (&json!(true), &json!(renamed)));
        assert_eq!((&user["title"], &user["nickName"]), (&Json::Null, again.get("nickName").unwrap_or(&Json::Null)));
        assert_eq!(values(&user, "groups"), std::slice::from_ref(&staff));
        assert_eq!(user, ok(&host, "GET", &format!("/Users/{id}"), None));
        assert_eq!((total(&host, "active%20eq%20true"), total(&host, "active%20eq%20false")), (json!(1), json!(0)));
        assert_eq!(total(&host, &format!("userName%20eq%20%22{renamed}%22")), json!(1));
        let shown = ok(&host, "GET", &format!("/Groups/{staff}?attributes=members.display"), None);
        assert_eq!(shown["members"][0]["display"], json!(renamed));
        let record = last(&host);
        assert_eq!((record.operation, record.reprovisioned), (Operation::Replace, Some(Reprovisioned::Reactivated)));
        assert_eq!((&record.before["active"], &record.after["active"]), (&json!(false), &json!(true)));
        // Now somebody active has the name.
        let detail = refused(&host, "POST", "/Users", Some(again), 409);
        assert!(detail.starts_with("userName: another User already has the value"), "{detail}");
    }
}

#[test]
fn a_post_that_says_inactive_is_taken_at_its_word() {
    for (setting, status) in [("reactivate", "deactivated"), ("restore", "deleted")] {
        let host = tenant(json!({ "reprovisioning": setting }));
        let id = hire(&host, "ann", "1");
        match status {
            "deleted" => delete(&host, &id),
            _ => deactivate(&host, &id),
        }
        let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "active": false })));
        assert_eq!((&user["id"], &user["active"]), (&json!(id), &json!(false)), "{setting}");
    }
}

#[test]
fn whoever_is_active_or_deleted_is_not_reactivated() {
    let host = reactivating();
    let (active, gone) = (create(&host, "ann"), hire(&host, "bob", "2"));
    delete(&host, &gone);
    assert_eq!(remembered(&host), 0);
    refused(&host, "POST", "/Users", Some(json!({ "userName": "ann" })), 409);
    assert_ne!(hire(&host, "bob", "2"), gone);
    assert_eq!(ok(&host, "GET", &format!("/Users/{active}"), None)["active"], Json::Null);
    // Groups know no `active`: a second one of a name is a second one.
    assert_ne!(group(&host, "staff", &[]), group(&host, "staff", &[]));
}

#[test]
fn whoever_was_deleted_comes_back_with_the_id_and_without_the_groups() {
    for again in [json!({ "userName": "ANN" }), json!({ "userName": "ann.lee", "externalId": "1" })] {
        let host = restoring();
        let id = hire(&host, "ann", "1");
        let staff = group(&host, "staff", &[&id]);
        let before = ok(&host, "GET", &format!("/Users/{id}"), None);
        delete(&host, &id);
        // What is kept tells nothing of her.
        let tombstones: Vec<Vec<u8>> =
            host.memory.dump().into_iter().filter(|(key, _)| key[0] != b'l').flat_map(|(k, v)| [k, v]).collect();
        assert!(tombstones.iter().all(|bytes| !bytes.windows(3).any(|part| part.eq_ignore_ascii_case(b"ann"))));
        let response = send(&host, "POST", "/Users", &[], Some(again.clone()));
        let user = body(&response);
        assert_eq!((response.status, &user["id"], &user["active"]), (201, &json!(id), &json!(true)), "{user}");
        assert_eq!((&user["title"], &user["groups"]), (&Json::Null, &Json::Null));
        // No version comes twice.
        assert_ne!(user["meta"]["version"], before["meta"]["version"]);
        assert_eq!(header(&response, "etag"), user["meta"]["version"].as_str().unwrap());
        assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], json!(1));
        assert_eq!(ok(&host, "GET", &format!("/Groups/{staff}"), None)["members"], Json::Null);
        let record = last(&host);
        assert_eq!((record.operation, record.reprovisioned), (Operation::Create, Some(Reprovisioned::Restored)));
        assert!(record.before.is_empty() && record.id == id);
        assert_eq!(remembered(&host), 0);
        refused(&host, "POST", "/Users", Some(again.clone()), 409);
        // And once more.
        delete(&host, &id);
        assert_eq!(ok(&host, "POST", "/Users", Some(again))["id"], json!(id));
    }
}

#[test]
fn two_who_may_be_meant_are_a_conflict_that_names_both() {
    let host = restoring();
    let (ann, bob, eve) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"), hire(&host, "eve", "3"));
    deactivate(&host, &ann);
    deactivate(&host, &bob);
    let both = Some(json!({ "userName": "ann", "externalId": "2" }));
    let detail = refused(&host, "POST", "/Users", both.clone(), 409);
    let names = format!("deactivated `{ann}` (userName) and deactivated `{bob}` (externalId)");
    assert!(detail.contains(&names), "{detail}");
    delete(&host, &bob);
    let detail = refused(&host, "POST", "/Users", both, 409);
    assert!(detail.contains(&format!("deleted `{bob}` (externalId)")), "{detail}");
    // Somebody active under the same externalId is a doubt as well.
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "ann", "externalId": "3" })), 409);
    assert!(detail.contains(&format!("active `{eve}` (externalId)")), "{detail}");
    let response = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "ann", "externalId": "3" })));
    assert_eq!(body(&response)["scimType"], "uniqueness");
    // Whoever has a value now comes before whoever had it.
    deactivate(&host, &eve);
    ok(
        &host,
        "PATCH",
        &format!("/Users/{eve}"),
        Some(patch(&json!({ "op": "replace", "path": "userName", "value": "bob" }))),
    );
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "bob" })));
    assert_eq!(user["id"], json!(eve));
}

#[test]
fn several_under_one_external_id_are_a_conflict() {
    let host = reactivating();
    let (first, second) = (hire(&host, "ann", "1"), hire(&host, "bob", "1"));
    deactivate(&host, &first);
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "eve", "externalId": "1" })), 409);
    assert!(detail.contains(&first) && detail.contains(&format!("active `{second}`")), "{detail}");
    ok(
        &host,
        "PATCH",
        &format!("/Users/{first}"),
        Some(patch(&json!({ "op": "replace", "path": "active", "value": true }))),
    );
    // None who could come back: a new user, as ever.
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "eve", "externalId": "1" })));
    assert!(user["id"] != json!(first) && user["id"] != json!(second));
}

#[test]
fn external_ids_compare_whole_and_with_their_case() {
    let host = reactivating();
    let long = "x".repeat(400);
    let id = hire(&host, "ann", &format!("{long}1"));
    deactivate(&host, &id);
    for other in [format!("{long}2"), format!("{}1", long.to_uppercase())] {
        let user = ok(&host, "POST", "/Users", Some(json!({ "userName": other[398..], "externalId": other })));
        assert_ne!(user["id"], json!(id));
    }
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "eve", "externalId": format!("{long}1") })));
    assert_eq!(user["id"], json!(id));
}

#[test]
fn the_time_to_restore_ends_and_so_does_what_was_kept() {
    let host = tenant(json!({ "reprovisioning": "restore", "restoreDays": 30 }));
    let old = hire(&host, "ann", "1");
    delete(&host, &old);
    assert_eq!(remembered(&host), 4);
    host.clock.set(host.clock.get() + 30 * DAY - 60_000);
    let bob = hire(&host, "bob", "2");
    assert_eq!(remembered(&host), 4);
    host.clock.set(host.clock.get() + 120_000);
    assert_ne!(hire(&host, "ann", "1"), old);
    // That write has swept.
    assert_eq!(remembered(&host), 0);
    // What is to be kept hides nothing that is due.
    delete(&host, &bob);
    let key = [("idempotency-key", "k")];
    assert_eq!(send(&host, "POST", "/Users", &key, Some(json!({ "userName": "eve" }))).status, 201);
    let answers = || host.memory.dump().keys().filter(|key| matches!(key[0], b'y' | b'k')).count();
    assert_eq!((remembered(&host), answers() > 0), (4, true));
    host.clock.set(host.clock.get() + 2 * DAY);
    create(&host, "sweeper");
    assert_eq!((remembered(&host), answers()), (4, 0));
}

#[test]
fn what_is_kept_after_the_setting_is_changed_goes_on_request() {
    let host = restoring();
    for name in ["ann", "bob"] {
        let id = hire(&host, name, name);
        delete(&host, &id);
    }
    assert_eq!(remembered(&host), 8);
    set(&host, json!({ "reprovisioning": "reactivate" }));
    let done = send(&host, "POST", "/admin/maintenance", &[ADMIN], None);
    assert_eq!((done.status, remembered(&host)), (200, 0));
}

#[test]
fn the_last_one_deleted_under_a_value_counts_and_outlives_the_others() {
    let host = restoring();
    let first = hire(&host, "ann", "1");
    delete(&host, &first);
    // A new user by rename: a POST would have restored the first.
    let second = hire(&host, "bob", "2");
    ok(
        &host,
        "PATCH",
        &format!("/Users/{second}"),
        Some(patch(&json!({ "op": "replace", "path": "userName", "value": "ann" }))),
    );
    host.clock.set(host.clock.get() + 60 * DAY);
    delete(&host, &second);
    host.clock.set(host.clock.get() + 60 * DAY);
    create(&host, "sweeper");
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann" })));
    assert_eq!(user["id"], json!(second));
}

#[test]
fn passwords_are_not_kept_for_whoever_comes_back() {
    let host = tenant(json!({ "reprovisioning": "reactivate", "passwords": true }));
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "password": "first", "active": false })));
    let hashes = || host.memory.dump().keys().filter(|key| key[0] == b'p').count();
    assert_eq!(hashes(), 1);
    assert_eq!(ok(&host, "POST", "/Users", Some(json!({ "userName": "ann" })))["id"], user["id"]);
    assert_eq!((hashes(), last(&host).password_changed), (0, true));
    deactivate(&host, user["id"].as_str().unwrap());
    ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "password": "second" })));
    assert_eq!((hashes(), last(&host).password_changed), (1, true));
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let host = restoring();
    let (ann, bob) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"));
    deactivate(&host, &ann);
    delete(&host, &bob);
    for (name, id) in [("ann", &ann), ("bob", &bob)] {
        let before = host.memory.dump();
        let response =
            send(&host, "POST", "/Users", &[("scimwell-dry-run", "true")], Some(json!({ "userName": name })));
        assert_eq!((response.status, &body(&response)["id"]), (201, &json!(id)));
        assert_eq!(host.memory.dump(), before);
    }
}

#[test]
fn a_repeated_request_with_a_key_gets_the_first_answer() {
    let host = restoring();
    let (ann, bob) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"));
    deactivate(&host, &ann);
    delete(&host, &bob);
    for name in ["ann", "bob"] {
        let again = || send(&host, "POST", "/Users", &[("idempotency-key", name)], Some(json!({ "userName": name })));
        let (first, records) = (again(), log(&host).len());
        let second = again();
        assert_eq!((first.status, second.status, &first.body), (201, 201, &second.body));
        assert_eq!((header(&second, "idempotent-replayed"), log(&host).len()), ("true", records));
    }
}

#[test]
fn the_policy_is_asked_and_its_word_holds() {
    // It counts users before a creation: who is there already takes no new seat, who was deleted does.
    let mut host = restoring();
    let (ann, bob) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"));
    deactivate(&host, &ann);
    delete(&host, &bob);
    host.seats = Some(1);
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "bob" })), 403);
    assert_eq!(detail, "No seats left: buy more.");
    assert_eq!(ok(&host, "POST", "/Users", Some(json!({ "userName": "ann" })))["id"], json!(ann));
}

#[test]
fn of_two_at_once_one_brings_somebody_back_and_the_other_meets_a_conflict() {
    for setting in ["reactivate", "restore"] {
        let host = tenant(json!({ "reprovisioning": setting }));
        let id = hire(&host, "ann", "1");
        match setting {
            "restore" => delete(&host, &id),
            _ => deactivate(&host, &id),
        }
        let other = TestHost { memory: host.memory.clone(), ..TestHost::default() };
        let won = std::rc::Rc::new(std::cell::RefCell::new(Json::Null));
        let winner = won.clone();
        *host.interruption.borrow_mut() = Some(Box::new(move || {
            *winner.borrow_mut() = ok(&other, "POST", "/Users", Some(json!({ "userName": "ann", "title": "won" })));
        }));
        let lost = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "ann", "title": "lost" })));
        assert_eq!((lost.status, &body(&lost)["scimType"]), (409, &json!("uniqueness")), "{setting}");
        assert_eq!(won.borrow()["id"], json!(id), "{setting}");
        assert_eq!(ok(&host, "GET", &format!("/Users/{id}"), None)["title"], "won");
    }
}

#[test]
fn a_deletion_meanwhile_is_seen() {
    let host = restoring();
    let id = hire(&host, "ann", "1");
    deactivate(&host, &id);
    let other = TestHost { memory: host.memory.clone(), ..TestHost::default() };
    let path = format!("/Users/{id}");
    *host.interruption.borrow_mut() = Some(Box::new(move || _ = ok(&other, "DELETE", &path, None)));
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann" })));
    assert_eq!((&user["id"], last(&host).reprovisioned), (&json!(id), Some(Reprovisioned::Restored)));
}

#[test]
fn in_bulk_references_lead_to_whoever_came_back() {
    let host = restoring();
    let (ann, bob) = (hire(&host, "ann", "1"), hire(&host, "bob", "2"));
    deactivate(&host, &ann);
    delete(&host, &bob);
    let post = |name: &str| json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": { "userName": name } });
    let members = json!([{ "value": "bulkId:bob" }, { "value": "bulkId:ann" }, { "value": "bulkId:eve" }]);
    let staff = json!({ "method": "POST", "path": "/Groups", "bulkId": "g",
        "data": { "displayName": "staff", "members": members } });
    let done =
        ok(&host, "POST", "/Bulk", Some(json!({ "Operations": [staff, post("ann"), post("bob"), post("eve")] })));
    let at = |index: usize| done["Operations"][index]["location"].as_str().unwrap().rsplit('/').next().unwrap();
    assert!((0..4).all(|index| done["Operations"][index]["status"] == "201"), "{done}");
    assert_eq!((at(1), at(2)), (ann.as_str(), bob.as_str()));
    let mut members = values(&ok(&host, "GET", &format!("/Groups/{}", at(0)), None), "members");
    members.sort_unstable();
    let mut expect = [ann.as_str(), bob.as_str(), at(3)];
    expect.sort_unstable();
    assert_eq!(members, expect);
}

#[test]
fn in_bulk_without_references_locations_and_versions_are_those_of_whoever_came_back() {
    let host = reactivating();
    let id = hire(&host, "ann", "1");
    deactivate(&host, &id);
    let operation =
        |id: &str| json!({ "method": "POST", "path": "/Users", "bulkId": id, "data": { "userName": "ann" } });
    let done = ok(&host, "POST", "/Bulk", Some(json!({ "Operations": [operation("1"), operation("2")] })));
    let [first, second] = [&done["Operations"][0], &done["Operations"][1]];
    assert_eq!((&first["status"], &second["status"]), (&json!("201"), &json!("409")), "{done}");
    assert_eq!(first["location"], format!("https://h/scim/v2/Users/{id}"));
    assert_eq!(first["version"], ok(&host, "GET", &format!("/Users/{id}"), None)["meta"]["version"]);
}

#[test]
fn in_bulk_a_reference_to_whom_the_request_itself_makes_go_is_a_conflict() {
    let host = restoring();
    let id = hire(&host, "ann", "1");
    let operations = json!([
        { "method": "DELETE", "path": format!("/Users/{id}") },
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ann" } },
        { "method": "POST", "path": "/Groups", "bulkId": "g",
          "data": { "displayName": "staff", "members": [{ "value": "bulkId:a" }] } },
    ]);
    let done = ok(&host, "POST", "/Bulk", Some(json!({ "Operations": operations })));
    let status: Vec<_> = (0..3).map(|index| done["Operations"][index]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["204", "409", "409"], "{done}");
    // Sent again, they do what they say.
    let again: Vec<Json> = operations.as_array().unwrap()[1..].to_vec();
    let done = ok(&host, "POST", "/Bulk", Some(json!({ "Operations": again })));
    assert_eq!(done["Operations"][0]["location"], format!("https://h/scim/v2/Users/{id}"), "{done}");
    let staff = ok(&host, "GET", "/Groups", None)["Resources"][0].clone();
    assert_eq!(values(&staff, "members"), [id]);
}

#[test]
fn a_put_that_leaves_active_out_leaves_it_as_it_is() {
    let host = TestHost::default();
    let id = hire(&host, "ann", "1");
    let path = format!("/Users/{id}");
    let put = |active: Option<Json>| {
        let mut user = json!({ "userName": "ann" });
        if let Some(active) = active {
            user["active"] = active;
        }
        ok(&host, "PUT", &path, Some(user))["active"].clone()
    };
    assert_eq!(put(None), json!(true));
    assert_eq!(put(Some(json!(false))), json!(false));
    let before = kept(&host);
    assert_eq!((put(None), put(Some(Json::Null))), (json!(false), json!(false)));
    assert_eq!(kept(&host), before, "a PUT that changes nothing writes nothing");
    assert_eq!(put(Some(json!(true))), json!(true));
    // One that was never said stays unsaid.
    let other = create(&host, "bob");
    assert_eq!(ok(&host, "PUT", &format!("/Users/{other}"), Some(json!({ "userName": "bob" })))["active"], Json::Null);
}

#[test]
fn settings_out_of_range_are_refused() {
    let host = TestHost::default();
    for (settings, expect) in [
        (json!({ "reprovisioning": "revive" }), "reprovisioning: unknown variant `revive`"),
        (json!({ "restoreDays": 0 }), "restoreDays: 0 is not from 1 to 366"),
        (json!({ "restoreDays": 367 }), "restoreDays: 367 is not from 1 to 366"),
    ] {
        let response = send(&host, "PATCH", "/admin/settings", &[ADMIN], Some(settings));
        let detail = body(&response)["detail"].as_str().unwrap().to_owned();
        assert!(response.status == 400 && detail.starts_with(expect), "{detail}");
    }
}

//! The core over the reference store, where a test needs to see more than the wire: the log, races, refusals, sweeping.

use scimwell_guest::Host;
use scimwell_guest::schema::REGISTRY;
use scimwell_guest::store::{Mode, Mutation, Store, keys, sweep, transact};
use serde_json::json;

mod common;

use common::{Json, TestHost, add, create, group, log, ok, patch, refused, send, values};

#[test]
fn each_change_appends_one_record_and_no_change_none() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    ok(
        &host,
        "PATCH",
        &format!("/Users/{user}"),
        Some(patch(&json!({ "op": "Replace", "path": "title", "value": "Dr" }))),
    );
    ok(
        &host,
        "PATCH",
        &format!("/Users/{user}"),
        Some(patch(&json!({ "op": "replace", "path": "title", "value": "Dr" }))),
    );
    ok(&host, "PATCH", &format!("/Groups/{staff}"), Some(add(&user)));
    ok(&host, "DELETE", &format!("/Users/{user}"), None);
    let log = log(&host);
    let told: Vec<String> =
        log.iter().map(|r| format!("{:?} {} by {}", r.operation, r.resource_type, r.subject)).collect();
    assert_eq!(
        told,
        ["Create User by token-1", "Create Group by token-1", "Patch User by token-1", "Delete User by token-1"]
    );
    assert_eq!(log[1].added, [user.as_str()]);
    assert_eq!(
        (&log[2].before, &log[2].after),
        (&serde_json::Map::new(), json!({ "title": "Dr" }).as_object().unwrap())
    );
    assert_eq!(json!(log[2].tolerances), json!(["operation-case"]));
}

#[test]
fn secrets_are_neither_stored_nor_logged_nor_shown() {
    let host = TestHost::default();
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "password": "hunter2" })));
    assert_eq!(user["password"], Json::Null);
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    let patched =
        ok(&host, "PATCH", &path, Some(patch(&json!({ "op": "replace", "path": "password", "value": "hunter2" }))));
    assert_eq!(patched["meta"], user["meta"]);
    for (_, value) in host.memory.dump() {
        assert!(!String::from_utf8_lossy(&value).contains("hunter2"));
    }
}

#[test]
fn members_added_in_the_middle_of_an_add_are_not_lost() {
    let host = std::rc::Rc::new(TestHost::default());
    let users: Vec<String> = (0..3).map(|i| create(&host, &format!("u{i}"))).collect();
    let staff = group(&host, "staff", &[&users[0]]);
    let (inner, path, body) = (host.clone(), format!("/Groups/{staff}"), Some(add(&users[1])));
    let inner_path = path.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        ok(&inner, "PATCH", &inner_path, body);
    }));
    ok(&host, "PATCH", &path, Some(add(&users[2])));
    assert_eq!(values(&ok(&host, "GET", &path, None), "members"), users);
}

#[test]
fn a_name_taken_in_the_middle_of_a_create_is_409() {
    let host = std::rc::Rc::new(TestHost::default());
    let inner = host.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        create(&inner, "Ann");
    }));
    let response = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "aNN" })));
    assert_eq!(response.status, 409);
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 1);
}

#[test]
fn a_member_deleted_in_the_middle_of_an_add_is_refused() {
    let host = std::rc::Rc::new(TestHost::default());
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[]);
    let (inner, gone) = (host.clone(), format!("/Users/{user}"));
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        ok(&inner, "DELETE", &gone, None);
    }));
    let response = send(&host, "PATCH", &format!("/Groups/{staff}"), &[], Some(add(&user)));
    assert_eq!(response.status, 400);
    assert!(values(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members").is_empty());
}

#[test]
fn a_renamed_member_is_called_by_its_new_name() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    let path = format!("/Users/{user}");
    ok(&host, "PATCH", &path, Some(patch(&json!({ "op": "replace", "value": { "displayName": "Ann B" } }))));
    assert_eq!(
        ok(&host, "GET", &format!("/Groups/{staff}?attributes=members.display"), None)["members"][0]["display"],
        "Ann B"
    );
}

#[test]
fn groups_of_a_user_are_direct_and_indirect_and_cycles_end() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let inner = group(&host, "inner", &[&user]);
    let outer = group(&host, "outer", &[&inner]);
    ok(&host, "PATCH", &format!("/Groups/{inner}"), Some(add(&outer)));
    let user = ok(&host, "GET", &format!("/Users/{user}"), None);
    let groups = user["groups"].as_array().unwrap();
    let told: Vec<_> = groups.iter().map(|g| (g["display"].as_str().unwrap(), g["type"].as_str().unwrap())).collect();
    assert_eq!(told, [("inner", "direct"), ("outer", "indirect")]);
    assert_eq!(groups[0]["$ref"], format!("https://h/scim/v2/Groups/{inner}"));
    // A filter finds by both, and a circle of groups is gone round once.
    let (id, other) = (user["id"].as_str().unwrap(), create(&host, "bob"));
    for (group, found) in [(&inner, vec![id]), (&outer, vec![id]), (&other, vec![])] {
        let list = ok(&host, "GET", &format!("/Users?filter=groups%20eq%20%22{group}%22"), None);
        let ids: Vec<&str> = list["Resources"].as_array().unwrap().iter().map(|u| u["id"].as_str().unwrap()).collect();
        assert_eq!((ids, &list["totalResults"]), (found.clone(), &json!(found.len())));
    }
    let list =
        ok(&host, "GET", &format!("/Groups?filter=members%20eq%20%22{id}%22%20or%20id%20eq%20%22{outer}%22"), None);
    assert_eq!(list["totalResults"], 2);
}

/// Whether the key is an edge's, or there because of edges; a member's counter stays as long as the member.
fn is_of_edges(key: &[u8]) -> bool {
    matches!(key[0], b'm' | b'x' | b'c') || (key[0] == b'g' && key.contains(&0))
}

#[test]
fn deleting_a_large_group_hides_it_at_once_and_later_writes_sweep_it() {
    let host = TestHost::default();
    let users: Vec<String> = (0..1200).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users.iter().map(String::as_str).collect();
    let staff = group(&host, "staff", &ids);
    ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    let first = ok(&host, "GET", &format!("/Users/{}", users[1199]), None);
    assert_eq!(first["groups"], Json::Null);
    for i in 0..3 {
        create(&host, &format!("later{i}"));
    }
    let dump = common::kept(&host);
    let edges: Vec<_> = dump.keys().filter(|key| is_of_edges(key)).collect();
    assert!(edges.is_empty(), "{} keys left", edges.len());
}

#[test]
fn maintenance_on_request_sweeps_what_no_write_comes_for() {
    let host = TestHost::default();
    let users: Vec<String> = (0..1200).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users.iter().map(String::as_str).collect();
    let staff = group(&host, "staff", &ids);
    ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    let administrator = [("authorization", "Bearer admin")];
    assert_eq!(send(&host, "POST", "/admin/maintenance", &[], None).status, 403);
    assert_eq!(send(&host, "GET", "/admin/maintenance", &administrator, None).status, 405);
    let swept = send(&host, "POST", "/admin/maintenance", &administrator, None);
    assert_eq!(swept.status, 200);
    let told: Json = serde_json::from_slice(&swept.body).unwrap();
    // The deletion itself was a write, and took the first of three steps.
    assert_eq!(told, json!({ "steps": 2, "done": true }));
    let dump = host.memory.dump();
    let edges: Vec<_> = dump.keys().filter(|key| is_of_edges(key)).collect();
    assert!(edges.is_empty(), "{} keys left", edges.len());
    let again = send(&host, "POST", "/admin/maintenance", &administrator, None);
    assert_eq!(serde_json::from_slice::<Json>(&again.body).unwrap(), json!({ "steps": 0, "done": true }));
}

/// Whoever finds nothing to sweep says so by removing the mark; what another marks in that moment must be found by the next.
#[test]
fn what_is_marked_while_nothing_was_found_is_still_swept() {
    fn mark(store: &impl Store, id: &str) {
        let marked = transact(store, Mode::Commit, |txn| {
            sweep::mark(txn, keys::gone(id));
            Ok(())
        });
        assert_eq!(marked, Ok(()));
    }
    let host = TestHost::default();
    let store = host.open("default").unwrap();
    mark(&store, "first");
    assert_eq!(sweep::step(&store, 0, 0), Ok(true));
    let memory = host.memory.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        mark(&memory, "second");
    }));
    assert_eq!(sweep::step(&store, 0, 0), Ok(false));
    assert_eq!(sweep::step_if_marked(&store, &store, 0, 0), Ok(true));
    assert_eq!(sweep::step_if_marked(&store, &store, 0, 0), Ok(false));
    assert!(host.memory.dump().is_empty());
}

#[test]
fn a_deleted_resource_leaves_nothing_but_the_log() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    ok(&host, "DELETE", &format!("/Users/{user}"), None);
    assert!(values(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members").is_empty());
    ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    let dump = common::kept(&host);
    let left: Vec<_> = dump.iter().filter(|(key, _)| key[0] != b'l').collect();
    assert!(left.iter().all(|(key, value)| key[0] == b'n' && value.iter().all(|b| *b == 0)), "{left:?}");
}

#[test]
fn a_large_membership_change_answers_204_unless_attributes_are_asked_for() {
    let host = TestHost::default();
    let users: Vec<String> = (0..150).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users[..149].iter().map(String::as_str).collect();
    let path = format!("/Groups/{}", group(&host, "staff", &ids));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(add(&users[149]))).status, 204);
    let asked = send(&host, "PATCH", &format!("{path}?attributes=displayName"), &[], Some(add(&users[149])));
    assert_eq!(asked.status, 200);
    let without = send(&host, "PATCH", &format!("{path}?excludedAttributes=members"), &[], Some(add(&users[149])));
    assert_eq!(without.status, 200);
    assert_eq!(values(&ok(&host, "GET", &path, None), "members").len(), 150);
}

#[test]
fn the_policy_speaks_to_the_client_and_nothing_is_stored() {
    let host = TestHost { seats: Some(1), ..TestHost::default() };
    create(&host, "ann");
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "bob" })), 403);
    assert_eq!(detail, "No seats left: buy more.");
}

/// What a policy must not say doesn't reach the client, and it is told something all the same.
#[test]
fn a_policy_that_keeps_to_no_rule_refuses_all_the_same() {
    for status in [0, 200, 302, 500, u16::MAX] {
        let host = TestHost { seats: Some(0), refusal_status: Some(status), ..TestHost::default() };
        let response = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "bob" })));
        let error: Json = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status, &error["status"], error.get("scimType")), (403, &json!("403"), None));
        assert!(error["detail"].as_str().unwrap().contains("refuses the change"), "{error}");
    }
}

#[test]
fn permissions_and_refusals() {
    let host = TestHost { read_only: true, ..TestHost::default() };
    assert!(refused(&host, "POST", "/Users", Some(json!({ "userName": "bob" })), 403).contains("`write`"));
    ok(&host, "GET", "/Users", None);
    let status = |token| send(&host, "GET", "/Users", &[("authorization", token)], None);
    assert_eq!(status("Bearer wrong").status, 401);
    assert_eq!(status("Bearer other").status, 403);
    let slow = status("Bearer slow");
    assert_eq!(
        (slow.status, slow.headers.iter().find(|h| h.name == "retry-after").map(|h| h.value.as_str())),
        (429, Some("7"))
    );
}

/// A store that keeps counters as text, or not at all, must not make a list seem empty.
#[test]
fn a_counter_of_another_form_is_500_and_not_0() {
    let host = TestHost::default();
    create(&host, "ann");
    let count = keys::resource_count(REGISTRY.by_name("User").unwrap());
    host.memory.commit(&[], &[Mutation::Put(count, b"1".to_vec())]).unwrap();
    let response = send(&host, "GET", "/Users", &[], None);
    assert_eq!(response.status, 500);
    let log = response.log.unwrap();
    assert!(log.contains("storage.commit") && log.contains("1 bytes"), "{log}");
}

/// A store that cuts values short must not make its half of an object a part of the answer.
#[test]
fn a_document_that_was_cut_short_is_500() {
    let host = TestHost::default();
    let id = create(&host, "ann");
    let document = keys::document(REGISTRY.by_name("User").unwrap(), &id);
    let whole = host.memory.get(std::slice::from_ref(&document)).unwrap()[0].clone().unwrap();
    for end in [0, 1, 10, whole.len() - 1] {
        host.memory.commit(&[], &[Mutation::Put(document.clone(), whole[..end].to_vec())]).unwrap();
        for target in [format!("/Users/{id}"), "/Users".to_owned()] {
            let response = send(&host, "GET", &target, &[], None);
            assert_eq!(response.status, 500, "{target} with {end} bytes");
            assert!(response.log.unwrap().contains(&id));
        }
    }
}

#[test]
fn a_store_that_fails_is_503_and_its_words_are_for_the_log() {
    let host = TestHost { unavailable: true, ..TestHost::default() };
    let response = send(&host, "GET", "/Users/x", &[], None);
    assert_eq!(response.status, 503);
    assert!(!String::from_utf8_lossy(&response.body).contains("secret-host"));
    assert!(response.log.unwrap().contains("secret-host"));
}

#[test]
fn a_document_that_cannot_be_read_is_500_and_named_in_the_log() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let key = keys::document(scimwell_guest::schema::REGISTRY.by_name("User").unwrap(), &user);
    host.memory.commit(&[], &[Mutation::Put(key, b"broken".to_vec())]).unwrap();
    let response = send(&host, "GET", &format!("/Users/{user}"), &[], None);
    assert_eq!(response.status, 500);
    assert!(response.log.unwrap().contains(&user));
}

#[test]
fn stale_writers_are_refused() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let path = format!("/Users/{user}");
    let title = |title: &str| Some(patch(&json!({ "op": "replace", "path": "title", "value": title })));
    let version = ok(&host, "GET", &path, None)["meta"]["version"].as_str().unwrap().to_owned();
    assert_eq!(send(&host, "PATCH", &path, &[("if-match", &version)], title("a")).status, 200);
    assert_eq!(send(&host, "PATCH", &path, &[("if-match", &version)], title("b")).status, 412);
    assert_eq!(send(&host, "DELETE", &path, &[("if-match", &version)], None).status, 412);
    assert_eq!(send(&host, "GET", &path, &[("if-none-match", &version)], None).status, 200);
    let version = ok(&host, "GET", &path, None)["meta"]["version"].as_str().unwrap().to_owned();
    assert_eq!(send(&host, "GET", &path, &[("if-none-match", &version)], None).status, 304);
    assert_eq!(send(&host, "PUT", &path, &[("if-match", "*")], Some(json!({ "userName": "ann" }))).status, 200);
}

#[test]
fn a_resource_shown_as_stored_is_the_one_that_was_read() {
    let host = TestHost::default();
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let user = ok(
        &host,
        "POST",
        "/Users",
        Some(
            json!({ "userName": "ann \"é\"", "active": true, "emails": [{ "value": "a@b" }], enterprise: { "department": "R" } }),
        ),
    );
    let user = format!("/Users/{}", user["id"].as_str().unwrap());
    let staff = group(&host, "staff", &[&create(&host, "bob")]);
    for path in [user, format!("/Groups/{staff}"), format!("/Groups/{}", group(&host, "empty", &[]))] {
        // Leaving out an attribute that documents may hold, though this one doesn't, makes the document be read.
        let stored = send(&host, "GET", &path, &[], None);
        let read = send(&host, "GET", &format!("{path}?excludedAttributes=nickName,externalId"), &[], None);
        assert_eq!(String::from_utf8_lossy(&stored.body), String::from_utf8_lossy(&read.body));
    }
}

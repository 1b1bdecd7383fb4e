//! The tenant's configuration: settings, its own schemas and resource types, what stored data says to a change of them,
//! and passwords.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written where they are used")]

mod common;

use common::{Json, TestHost, create, log, ok, patch, send};
use proptest::prelude::*;
use scimwell_guest::http::Response;
use scimwell_guest::schema::{Keyed, REGISTRY};
use scimwell_guest::store::{Mutation, Store, keys};
use scimwell_guest::{limits, password};
use serde_json::json;

const BADGE: &str = "urn:example:params:scim:schemas:extension:Badge";
const DEVICE: &str = "urn:example:params:scim:schemas:Device";

fn admin(host: &TestHost, method: &str, target: &str, body: Option<Json>) -> Response {
    send(host, method, target, &[("authorization", "Bearer admin")], body)
}

fn set(host: &TestHost, method: &str, target: &str, body: Json) -> Json {
    let response = admin(host, method, target, Some(body));
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status < 300, "{method} {target}: {} {text}", response.status);
    serde_json::from_str(&text).unwrap()
}

/// A refusal's detail; nothing may have changed.
fn refuse(host: &TestHost, method: &str, target: &str, body: Option<Json>, status: u16) -> String {
    let before = host.memory.dump();
    let response = admin(host, method, target, body);
    let error: Json = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status, status, "{method} {target}: {error}");
    assert_eq!(host.memory.dump(), before, "a refused change changed something");
    error["detail"].as_str().unwrap().to_owned()
}

fn badge(attributes: Json) -> Json {
    json!({ "id": BADGE, "name": "Badge", "attributes": attributes })
}

fn user_type(required: bool) -> Json {
    json!({ "schemaExtensions": [
        { "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "required": false },
        { "schema": BADGE, "required": required },
    ] })
}

/// Users have badges.
fn with_badges(attributes: Json) -> TestHost {
    let host = TestHost::default();
    set(&host, "PUT", &format!("/admin/schemas/{BADGE}"), badge(attributes));
    set(&host, "PUT", "/admin/resource-types/User", user_type(false));
    host
}

fn badged(host: &TestHost, name: &str, badge: Json) -> Response {
    send(host, "POST", "/Users", &[], Some(json!({ "userName": name, BADGE: badge })))
}

fn found(host: &TestHost, filter: &str) -> Vec<String> {
    let filter = filter.replace(' ', "%20").replace('"', "%22").replace('+', "%2B");
    let list = ok(host, "GET", &format!("/Users?filter={filter}&count=1000"), None);
    list["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_administrators_configure() {
    let host = TestHost::default();
    for (method, target) in [("GET", "/admin/settings"), ("PUT", "/admin/schemas/urn:a:b"), ("GET", "/admin/log")] {
        let response = send(&host, method, target, &[], Some(json!({})));
        assert_eq!(response.status, 403, "{method} {target}");
        assert!(String::from_utf8_lossy(&response.body).contains("`admin`"));
    }
    assert_eq!(admin(&host, "POST", "/admin/settings", None).status, 405);
    let options = admin(&host, "OPTIONS", "/admin/settings", None);
    let allow = options.headers.iter().find(|header| header.name == "allow").map(|header| header.value.as_str());
    assert_eq!((options.status, allow), (204, Some("GET, HEAD, PUT, PATCH, OPTIONS")));
    assert_eq!(admin(&host, "GET", "/admin/setings", None).status, 404);
    assert_eq!(admin(&host, "GET", "/admin", None).status, 404);
}

#[test]
fn settings_are_replaced_and_merged() {
    let host = TestHost::default();
    let defaults = set(&host, "GET", "/admin/settings", Json::Null);
    assert_eq!(defaults["passwords"], false);
    let merged = set(&host, "PATCH", "/admin/settings", json!({ "passwords": true, "patchReply": "no-content" }));
    assert_eq!((&merged["passwords"], &merged["patchReply"]), (&json!(true), &json!("no-content")));
    let merged = set(&host, "PATCH", "/admin/settings", json!({ "patchReply": null, "meAttribute": "userName" }));
    assert_eq!((&merged["passwords"], &merged["patchReply"]), (&json!(true), &json!("auto")));
    let replaced = set(&host, "PUT", "/admin/settings", json!({}));
    assert_eq!(replaced, defaults);
    assert_eq!(set(&host, "GET", "/admin/settings", Json::Null), defaults);
    assert_eq!(log(&host).iter().map(|record| record.resource_type.as_str()).collect::<Vec<_>>(), ["Settings"; 3]);
}

#[test]
fn bad_settings_are_refused_by_name() {
    let host = TestHost::default();
    let check = |body: Json, expect: &str| {
        let detail = refuse(&host, "PATCH", "/admin/settings", Some(body), 400);
        assert!(detail.contains(expect), "{detail}");
    };
    check(json!({ "password": true }), "password: there is no such setting; did you mean `passwords`?");
    check(json!({ "passwords": "yes" }), "passwords: ");
    check(json!({ "patchReply": "maybe" }), "patchReply: unknown variant `maybe`");
    check(json!({ "maxPageSize": 0 }), "maxPageSize: 0");
    check(json!({ "maxPageSize": -1 }), "maxPageSize: ");
    check(json!({ "defaultPageSize": 900, "maxPageSize": 10 }), "defaultPageSize: 900");
    check(json!({ "cursorSeconds": 1 }), "cursorSeconds: 1");
    check(json!({ "meAttribute": "usrName" }), "did you mean `userName`?");
    check(json!({ "meAttribute": "emails" }), "not a single string");
    check(json!({ "meAttribute": "password" }), "not a single string");
    check(json!([]), "must be a JSON object");
}

#[test]
fn an_extension_of_users_is_discovered_written_found_and_sorted() {
    let host = with_badges(json!([
        { "name": "number", "type": "integer", "indexed": true },
        { "name": "colour", "caseExact": true, "indexed": true },
        { "name": "issued", "type": "dateTime", "indexed": true },
        { "name": "active", "type": "boolean", "indexed": true },
        { "name": "weight", "type": "decimal", "indexed": true },
        { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
            { "name": "value", "indexed": true }, { "name": "floor", "type": "integer" },
        ] },
    ]));
    let schema = ok(&host, "GET", &format!("/Schemas/{BADGE}"), None);
    assert_eq!(schema["attributes"].as_array().unwrap().len(), 6);
    assert_eq!(schema["attributes"][0]["indexed"], Json::Null);
    let own = set(&host, "GET", &format!("/admin/schemas/{}", BADGE.to_uppercase()), Json::Null);
    assert_eq!(own["attributes"][0]["indexed"], true);
    assert_eq!(own["attributes"][5]["subAttributes"][0]["indexed"], true);
    let types = ok(&host, "GET", "/ResourceTypes/User", None);
    assert_eq!(types["schemaExtensions"][1], json!({ "schema": BADGE, "required": false }));
    for i in 0..20 {
        let badge = json!({
            "number": i, "colour": if i % 2 == 0 { "Red" } else { "red" }, "active": i % 4 == 0,
            "issued": format!("2026-01-{:02}T00:00:00Z", i + 1), "weight": f64::from(i) / 2.0,
            "doors": [{ "value": format!("Door {i}"), "floor": i }, { "value": "main" }],
        });
        assert_eq!(badged(&host, &format!("u{i:02}"), badge).status, 201);
    }
    let check =
        |filter: &str, expect: &[&str]| assert_eq!(found(&host, &filter.replace("B:", &format!("{BADGE}:"))), expect);
    check("B:number eq 7", &["u07"]);
    check("B:number eq 7.0", &["u07"]);
    check("B:number gt 18", &["u19"]);
    check("B:issued eq \"2026-01-03T01:00:00+01:00\"", &["u02"]);
    check("B:weight eq 1.5", &["u03"]);
    check("B:active eq true and B:number lt 5", &["u00", "u04"]);
    check("B:doors.value eq \"door 3\"", &["u03"]);
    check("B:doors[value eq \"door 3\" and floor eq 3]", &["u03"]);
    check("B:doors[value eq \"main\" and floor eq 3]", &[]);
    assert_eq!(found(&host, &format!("{BADGE}:colour eq \"Red\"")).len(), 10);
    let sorted = ok(&host, "GET", &format!("/Users?sortBy={BADGE}:number&sortOrder=descending&count=1"), None);
    assert_eq!(sorted["Resources"][0]["userName"], "u19");
    assert_eq!(sorted["Resources"][0]["schemas"][1], BADGE);
    let id = sorted["Resources"][0]["id"].as_str().unwrap();
    let patched = ok(
        &host,
        "PATCH",
        &format!("/Users/{id}"),
        Some(patch(&json!({ "op": "replace", "path": format!("{BADGE}:number"), "value": 100 }))),
    );
    assert_eq!(patched[BADGE]["number"], 100);
    assert_eq!(found(&host, &format!("{BADGE}:number eq 19")), Vec::<String>::new());
    assert_eq!(found(&host, &format!("{BADGE}:number eq 100")), ["u19"]);
}

fn device(attributes: Json) -> TestHost {
    let host = TestHost::default();
    set(&host, "PUT", &format!("/admin/schemas/{DEVICE}"), json!({ "attributes": attributes }));
    let body = json!({ "endpoint": "/Devices", "schema": DEVICE, "description": "Things" });
    let response = admin(&host, "PUT", "/admin/resource-types/Device", Some(body));
    assert_eq!(response.status, 201);
    host
}

#[test]
fn a_resource_type_of_its_own_works_as_the_built_in_ones() {
    let host = device(
        json!([{ "name": "serial", "required": true, "uniqueness": "server", "caseExact": true }, { "name": "owner" }]),
    );
    assert_eq!(ok(&host, "GET", "/ResourceTypes", None)["totalResults"], 3);
    assert_eq!(ok(&host, "GET", "/Schemas", None)["totalResults"], 4);
    let device = ok(&host, "POST", "/Devices", Some(json!({ "schemas": [DEVICE], "serial": "A1", "externalId": "x" })));
    assert_eq!(device["meta"]["resourceType"], "Device");
    let path = format!("/Devices/{}", device["id"].as_str().unwrap());
    assert_eq!(device["meta"]["location"], format!("https://h/scim/v2{path}"));
    assert_eq!(send(&host, "POST", "/Devices", &[], Some(json!({ "serial": "A1" }))).status, 409);
    assert_eq!(send(&host, "POST", "/Devices", &[], Some(json!({ "serial": "a1" }))).status, 201);
    assert_eq!(send(&host, "POST", "/Devices", &[], Some(json!({ "owner": "me" }))).status, 400);
    ok(&host, "PATCH", &path, Some(patch(&json!({ "op": "add", "path": "owner", "value": "me" }))));
    assert_eq!(ok(&host, "GET", "/Devices?filter=serial%20eq%20%22A1%22", None)["totalResults"], 1);
    // Group.members names User and Group as what it refers to (RFC 7643 §8.7.1), and no other type.
    let members = json!({ "displayName": "staff", "members": [{ "value": device["id"] }] });
    assert_eq!(send(&host, "POST", "/Groups", &[], Some(members)).status, 400);
    let detail = refuse(&host, "DELETE", "/admin/resource-types/Device", None, 409);
    assert!(detail.contains("2 in all") && detail.contains(device["id"].as_str().unwrap()), "{detail}");
    let detail = refuse(&host, "DELETE", &format!("/admin/schemas/{DEVICE}"), None, 409);
    assert!(detail.contains("in use by Device"), "{detail}");
    for found in ok(&host, "GET", "/Devices", None)["Resources"].as_array().unwrap() {
        send(&host, "DELETE", &format!("/Devices/{}", found["id"].as_str().unwrap()), &[], None);
    }
    assert_eq!(admin(&host, "DELETE", "/admin/resource-types/Device", None).status, 204);
    assert_eq!(admin(&host, "DELETE", &format!("/admin/schemas/{DEVICE}"), None).status, 204);
    assert_eq!(send(&host, "GET", "/Devices", &[], None).status, 404);
    let left = keys::keyed(&Keyed { resource_type: "Device".into(), attribute: "serial".into(), unique: true });
    assert_eq!(host.memory.count(&left).unwrap(), 0);
}

#[test]
fn bad_schemas_are_refused() {
    let host = TestHost::default();
    let check = |attributes: Json, expect: &str| {
        let detail = refuse(&host, "PUT", &format!("/admin/schemas/{BADGE}"), Some(badge(attributes)), 400);
        assert!(detail.contains(expect), "{detail}");
    };
    check(json!([]), "one attribute or more");
    check(json!([{ "name": "a" }, { "name": "A" }]), "attributes[1].name: `A` is defined twice");
    check(json!([{}]), "attributes[0]: name: it must be given");
    check(json!([{ "name": "1st" }]), "no SCIM name");
    check(json!([{ "name": "a.b" }]), "no SCIM name");
    check(json!([{ "name": "x".repeat(65) }]), "at most 64");
    for name in ["id", "schemas", "META", "externalId"] {
        check(json!([{ "name": name }]), "every resource has");
    }
    check(json!([{ "name": "a", "type": "strin" }]), "attributes[0].type: found \"strin\", expected one of string");
    check(json!([{ "name": "a", "type": "strin" }]), "did you mean `string`?");
    check(json!([{ "name": "a", "mutability": 3 }]), "attributes[0].mutability: found 3");
    check(json!([{ "name": "a", "multivalued": true }]), "did you mean `multiValued`?");
    check(json!([{ "name": "a", "required": "no" }]), "expected true or false");
    check(json!([{ "name": "a", "type": "complex" }]), "needs sub-attributes");
    check(json!([{ "name": "a", "subAttributes": [{ "name": "b" }] }]), "only a complex attribute");
    check(
        json!([{ "name": "a", "type": "complex", "subAttributes": [{ "name": "b", "type": "complex", "subAttributes": [{ "name": "c" }] }] }]),
        "can't be complex",
    );
    check(json!([{ "name": "a", "type": "complex", "subAttributes": [{ "name": "b" }, { "name": "B" }] }]), "twice");
    check(json!([{ "name": "a", "type": "boolean", "uniqueness": "server" }]), "can be unique");
    check(json!([{ "name": "a", "type": "binary", "indexed": true }]), "no order");
    check(json!([{ "name": "a", "mutability": "writeOnly" }]), "never returned");
    check(json!([{ "name": "a", "mutability": "writeOnly", "returned": "never", "required": true }]), "required");
    check(
        json!([{ "name": "a", "type": "complex", "subAttributes": [
            { "name": "b", "mutability": "writeOnly", "returned": "never" },
        ] }]),
        "set it on the attribute itself",
    );
    check(json!([{ "name": "a", "referenceTypes": ["User"] }]), "only a reference");
    check(json!([{ "name": "a", "canonicalValues": [1] }]), "array of strings");
    check(json!({}), "one attribute or more");
    check(json!((0..501).map(|i| json!({ "name": format!("a{i}") })).collect::<Vec<_>>()), "501");
    let urn = |urn: &str, expect: &str| {
        let body = json!({ "attributes": [{ "name": "a" }] });
        let detail = refuse(&host, "PUT", &format!("/admin/schemas/{urn}"), Some(body), 400);
        assert!(detail.contains(expect), "{detail}");
    };
    urn("badge", "no URN");
    urn("urn:x:badge", "no URN");
    urn("urn:example:", "no URN");
    urn("urn:example:a%20b", "no URN");
    urn(&format!("urn:example:{}", "x".repeat(200)), "longer than 200");
    urn("urn:ietf:params:scim:schemas:core:2.0:User", "built in");
    urn("urn:ietf:params:scim:schemas:extension:enterprise:2.0:user", "built in");
    let detail = refuse(
        &host,
        "PUT",
        "/admin/schemas/urn:example:a",
        Some(json!({ "id": "urn:example:b", "attributes": [{ "name": "a" }] })),
        400,
    );
    assert!(detail.contains("must be the same"), "{detail}");
    let large = json!(
        (0..400).map(|i| json!({ "name": format!("a{i}"), "description": "x".repeat(2000) })).collect::<Vec<_>>()
    );
    refuse(&host, "PUT", &format!("/admin/schemas/{BADGE}"), Some(badge(large)), 413);
}

#[test]
fn bad_resource_types_are_refused() {
    let host = device(json!([{ "name": "serial" }]));
    set(&host, "PUT", &format!("/admin/schemas/{DEVICE}:More"), json!({ "attributes": [{ "name": "a" }] }));
    let check = |name: &str, body: Json, expect: &str| {
        let detail = refuse(&host, "PUT", &format!("/admin/resource-types/{name}"), Some(body), 400);
        assert!(detail.contains(expect), "{detail}");
    };
    let body = |endpoint: &str| json!({ "endpoint": endpoint, "schema": DEVICE });
    for endpoint in ["/Users", "/schemas", "Bulk", "/me", "/admin", "/Devices", "/ServiceProviderConfig"] {
        check("Thing", body(endpoint), "taken already");
    }
    check("Thing", body("/a/b"), "no SCIM name");
    check("Thing", body("/.search"), "no SCIM name");
    check("Thing", json!({ "schema": DEVICE }), "endpoint: it must be given");
    check("Thing", json!({ "endpoint": "/Things" }), "schema: it must be given");
    check("Thing", json!({ "endpoint": "/Things", "schema": format!("{DEVICE}s") }), "did you mean");
    check(
        "Thing",
        json!({ "endpoint": "/Things", "schema": REGISTRY.resource_types[0].schema.id }),
        "core schema of User",
    );
    check("Thing", json!({ "endpoint": "/Things", "schema": DEVICE, "endpint": 1 }), "did you mean `endpoint`?");
    check("Thing", json!({ "name": "Other", "endpoint": "/Things", "schema": DEVICE }), "is not the name in the URL");
    check("device", body("/Things"), "differ in case only");
    check("user", body("/Things"), "differ in case only");
    check("Schema", body("/Things"), "meaning of its own");
    let extended = |urns: &[&str]| {
        let listed: Vec<Json> = urns.iter().map(|urn| json!({ "schema": urn })).collect();
        json!({ "endpoint": "/Things", "schema": DEVICE, "schemaExtensions": listed })
    };
    check("Thing", extended(&[DEVICE]), "named twice");
    check("Thing", extended(&["urn:example:x", "URN:example:x"]), "listed twice");
    check("Thing", extended(&["urn:example:x"]), "schemaExtensions[0].schema: there is no schema");
    check("Thing", extended(&[&format!("{DEVICE}:More")]), "ambiguous");
    check("User", json!({ "schemaExtensions": [] }), "can't be taken off");
    check("User", json!({ "endpoint": "/People", "schemaExtensions": [] }), "stays `/Users`");
    refuse(&host, "DELETE", "/admin/resource-types/User", None, 400);
    refuse(&host, "DELETE", "/admin/resource-types/Devise", None, 404);
    refuse(&host, "DELETE", &format!("/admin/schemas/{BADGE}"), None, 404);
    refuse(&host, "DELETE", "/admin/schemas/urn:ietf:params:scim:schemas:core:2.0:Group", None, 400);
}

#[test]
fn a_change_that_stored_data_violates_is_refused_with_a_list() {
    let host = with_badges(json!([{ "name": "number" }, { "name": "colour" }]));
    let mut ids = Vec::new();
    for i in 0..30 {
        let user: Json =
            serde_json::from_slice(&badged(&host, &format!("u{i}"), json!({ "number": "7" })).body).unwrap();
        ids.push(user["id"].as_str().unwrap().to_owned());
    }
    create(&host, "plain");
    let check = |attributes: Json, expect: &str| {
        let detail = refuse(&host, "PUT", &format!("/admin/schemas/{BADGE}"), Some(badge(attributes)), 409);
        assert!(detail.contains(expect) && detail.contains(&ids[1]), "{detail}");
        detail
    };
    let detail = check(json!([{ "name": "number" }, { "name": "colour", "required": true }]), "30 in all");
    assert!(detail.contains("colour: this attribute is required") && detail.contains("and 10 more"), "{detail}");
    assert!(!detail.contains(&ids[20]), "{detail}");
    check(json!([{ "name": "colour" }]), "would not be defined");
    check(json!([{ "name": "Number" }]), "would not be defined");
    check(json!([{ "name": "number", "type": "integer" }]), "another type");
    check(json!([{ "name": "number", "type": "boolean" }]), "expected true or false");
    check(json!([{ "name": "number", "multiValued": true }]), "several values");
    check(json!([{ "name": "number", "uniqueness": "server" }]), &format!("the same value as {}", ids[0]));
    refuse(&host, "PUT", "/admin/resource-types/User", Some(user_type(true)), 409);
    let off = json!({ "schemaExtensions": [user_type(false)["schemaExtensions"][0]] });
    refuse(&host, "PUT", "/admin/resource-types/User", Some(off.clone()), 409);
    // What nobody uses may go, and what widens may come.
    set(&host, "PUT", &format!("/admin/schemas/{BADGE}"), badge(json!([{ "name": "number" }, { "name": "new" }])));
    for id in &ids {
        send(&host, "DELETE", &format!("/Users/{id}"), &[], None);
    }
    set(&host, "PUT", "/admin/resource-types/User", off);
    assert_eq!(admin(&host, "DELETE", &format!("/admin/schemas/{BADGE}"), None).status, 204);
    assert_eq!(ok(&host, "GET", "/Schemas", None)["totalResults"], 3);
}

#[test]
fn switching_on_an_index_builds_it_and_switching_it_off_removes_it() {
    let host = with_badges(json!([{ "name": "number" }]));
    let many = limits::BUILD_BATCH as usize * 2 + 17;
    for i in 0..many {
        assert_eq!(badged(&host, &format!("u{i}"), json!({ "number": format!("N{}", i % 100) })).status, 201);
    }
    let filter = format!("{BADGE}:number eq \"n42\"");
    let before = found(&host, &filter);
    let keyed = Keyed { resource_type: "User".into(), attribute: format!("{BADGE}:number"), unique: false };
    let count = || host.memory.count(&keys::keyed(&keyed)).unwrap();
    let put = |indexed: bool| {
        let body = badge(json!([{ "name": "number", "indexed": indexed }]));
        set(&host, "PUT", &format!("/admin/schemas/{BADGE}"), body);
    };
    put(true);
    assert_eq!(count(), many as u64);
    assert_eq!(found(&host, &filter), before);
    // The comparison rule is part of the keys.
    let exact = badge(json!([{ "name": "number", "indexed": true, "caseExact": true }]));
    set(&host, "PUT", &format!("/admin/schemas/{BADGE}"), exact);
    assert_eq!(count(), many as u64);
    assert!(found(&host, &filter).is_empty());
    assert_eq!(found(&host, &filter.replace("n42", "N42")), before);
    put(false);
    assert_eq!(count(), 0);
    assert_eq!(found(&host, &filter), before);
}

#[test]
fn an_unfinished_index_is_kept_but_not_used_and_later_writes_finish_it() {
    let host = with_badges(json!([{ "name": "number" }]));
    for i in 0..limits::BUILD_BATCH * 3 {
        badged(&host, &format!("u{i:04}"), json!({ "number": "7" }));
    }
    // What a request leaves that was cut off just after publishing.
    let mut stored: Json =
        serde_json::from_slice(&host.memory.get(&[keys::tenant()]).unwrap()[0].clone().unwrap()).unwrap();
    let keyed = Keyed { resource_type: "User".into(), attribute: format!("{BADGE}:number"), unique: false };
    stored["work"] = json!([{ "build": { "keys": [keyed], "after": null } }]);
    stored["previous"] = stored["configuration"].clone();
    stored["configuration"]["definitions"]["schemas"][0]["attributes"][0]["indexed"] = json!(true);
    host.memory.commit(&[], &[Mutation::Put(keys::tenant(), stored.to_string().into_bytes())]).unwrap();
    let (count, filter) = (|| host.memory.count(&keys::keyed(&keyed)).unwrap(), format!("{BADGE}:number eq \"7\""));
    badged(&host, "new", json!({ "number": "7" }));
    assert_eq!(count(), u64::from(limits::BUILD_BATCH) + 1);
    assert_eq!(found(&host, &filter).len(), limits::BUILD_BATCH as usize * 3 + 1);
    for i in 0..4 {
        create(&host, &format!("later{i}"));
    }
    // Those without a badge have an entry that says so.
    assert_eq!(count(), u64::from(limits::BUILD_BATCH) * 3 + 1 + 4);
    assert_eq!(found(&host, &filter).len(), limits::BUILD_BATCH as usize * 3 + 1);
    let stored: Json =
        serde_json::from_slice(&host.memory.get(&[keys::tenant()]).unwrap()[0].clone().unwrap()).unwrap();
    assert_eq!((&stored["work"], &stored["previous"]), (&Json::Null, &Json::Null));
}

#[test]
fn a_write_validated_against_an_old_configuration_does_not_commit() {
    let host = std::rc::Rc::new(with_badges(json!([{ "name": "number" }])));
    let inner = host.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        let body = badge(json!([{ "name": "number", "required": true }]));
        set(&inner, "PUT", &format!("/admin/schemas/{BADGE}"), body);
    }));
    let response = badged(&host, "ann", json!({}));
    assert_eq!(response.status, 503);
    assert!(response.headers.iter().any(|header| header.name == "retry-after"));
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 0);
    assert_eq!(badged(&host, "ann", json!({ "number": "1" })).status, 201);
}

#[test]
fn a_resource_written_in_the_middle_of_a_change_takes_it_back() {
    for attribute in [
        json!({ "name": "number", "required": true, "indexed": true }),
        json!({ "name": "number", "type": "integer", "indexed": true }),
        json!({ "name": "number", "uniqueness": "server" }),
    ] {
        let host = std::rc::Rc::new(with_badges(json!([{ "name": "number" }, { "name": "colour" }])));
        badged(&host, "ann", json!({ "number": "7", "colour": "red" }));
        let host = match attribute["type"] == "integer" {
            // The first must be in no one's way.
            true => std::rc::Rc::new(with_badges(json!([{ "name": "number" }, { "name": "colour" }]))),
            false => host,
        };
        let inner = host.clone();
        let badge_of =
            if attribute["required"] == true { json!({ "colour": "red" }) } else { json!({ "number": "7" }) };
        *host.interruption.borrow_mut() = Some(Box::new(move || {
            assert_eq!(badged(&inner, "bob", badge_of).status, 201);
        }));
        let before = set(&host, "GET", &format!("/admin/schemas/{BADGE}"), Json::Null);
        let body = badge(json!([attribute, { "name": "colour" }]));
        let response = admin(&host, "PUT", &format!("/admin/schemas/{BADGE}"), Some(body));
        assert_eq!(response.status, 409, "{attribute}: {}", String::from_utf8_lossy(&response.body));
        assert_eq!(set(&host, "GET", &format!("/admin/schemas/{BADGE}"), Json::Null), before);
        for unique in [true, false] {
            let keyed = Keyed { resource_type: "User".into(), attribute: format!("{BADGE}:number"), unique };
            assert_eq!(host.memory.count(&keys::keyed(&keyed)).unwrap(), 0, "{attribute}");
        }
        assert_eq!(badged(&host, "cid", json!({ "number": "7" })).status, 201);
    }
}

#[test]
fn values_are_unique_wherever_the_schema_says_so() {
    let host = with_badges(json!([
        { "name": "number", "type": "integer", "uniqueness": "server" },
        { "name": "codes", "multiValued": true, "uniqueness": "global" },
        { "name": "key", "type": "complex", "subAttributes": [{ "name": "value", "uniqueness": "server" }] },
        { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [{ "name": "value", "uniqueness": "server" }] },
    ]));
    let all = json!({ "number": 1, "codes": ["a", "b", "A"], "key": { "value": "k" }, "doors": [{ "value": "x" }, { "value": "y" }] });
    assert_eq!(badged(&host, "ann", all.clone()).status, 201);
    let check = |badge: Json, expect: &str| {
        let response = badged(&host, "bob", badge);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(response.status == 409 && text.contains("uniqueness") && text.contains(expect), "{text}");
    };
    check(json!({ "number": 1 }), "Badge:number: another User");
    check(json!({ "codes": ["c", "B"] }), "Badge:codes: another User");
    check(json!({ "key": { "value": "K" } }), "Badge:key.value: another User");
    check(json!({ "doors": [{ "value": "z" }, { "value": "Y" }] }), "Badge:doors.value: another User");
    let long = json!({ "doors": [{ "value": "x".repeat(600) }] });
    assert_eq!(badged(&host, "bob", long).status, 400);
    assert_eq!(found(&host, &format!("{BADGE}:doors.value eq \"{}\"", "x".repeat(2000))).len(), 0);
    assert_eq!(found(&host, &format!("{BADGE}:number eq 1")), ["ann"]);
    assert!(found(&host, &format!("{BADGE}:number eq 2")).is_empty());
    assert_eq!(found(&host, &format!("{BADGE}:doors[value eq \"X\"]")), ["ann"]);
    let bob: Json = serde_json::from_slice(&badged(&host, "bob", json!({ "codes": ["c"] })).body).unwrap();
    let path = format!("/Users/{}", bob["id"].as_str().unwrap());
    let add = patch(&json!({ "op": "add", "path": format!("{BADGE}:codes"), "value": ["a"] }));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(add.clone())).status, 409);
    let ann = ok(&host, "GET", "/Users?filter=userName%20eq%20%22ann%22", None)["Resources"][0]["id"].clone();
    ok(&host, "PUT", &format!("/Users/{}", ann.as_str().unwrap()), Some(json!({ "userName": "ann" })));
    ok(&host, "PATCH", &path, Some(add));
    send(&host, "DELETE", &path, &[], None);
    assert_eq!(badged(&host, "cid", all).status, 201);
}

#[test]
fn required_immutable_and_write_only_hold_for_what_a_tenant_defines() {
    let host = with_badges(json!([
        { "name": "number", "required": true, "mutability": "immutable" },
        { "name": "pin", "mutability": "writeOnly", "returned": "never" },
        { "name": "note", "returned": "request" },
        { "name": "seal", "mutability": "readOnly" },
    ]));
    assert_eq!(badged(&host, "ann", json!({ "note": "x" })).status, 400);
    let all = json!({ "number": "7", "pin": "1234", "note": "x", "seal": "y" });
    let response = badged(&host, "ann", all);
    let user: Json = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(user[BADGE], json!({ "number": "7" }));
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    assert_eq!(ok(&host, "GET", &format!("{path}?attributes={BADGE}:note"), None)[BADGE], json!({ "note": "x" }));
    for (_, value) in host.memory.dump() {
        assert!(!String::from_utf8_lossy(&value).contains("1234"));
    }
    let other = patch(&json!({ "op": "replace", "path": format!("{BADGE}:number"), "value": "8" }));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(other)).status, 400);
    // Every user must have the extension from now on.
    set(&host, "PUT", "/admin/resource-types/User", user_type(true));
    assert_eq!(send(&host, "POST", "/Users", &[], Some(json!({ "userName": "bob" }))).status, 400);
    let away = patch(&json!({ "op": "remove", "path": BADGE }));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(away)).status, 400);
}

#[test]
fn group_names_are_unique_where_the_tenant_says_so() {
    let host = TestHost::default();
    let name = |name: &str| send(&host, "POST", "/Groups", &[], Some(json!({ "displayName": name }))).status;
    assert_eq!((name("Staff"), name("staff"), name("Other")), (201, 201, 201));
    let on = json!({ "uniqueGroupNames": true });
    let detail = refuse(&host, "PATCH", "/admin/settings", Some(on.clone()), 409);
    assert!(detail.contains("1 in all") && detail.contains("displayName: the same value as"), "{detail}");
    let second = ok(&host, "GET", "/Groups", None)["Resources"][1]["id"].as_str().unwrap().to_owned();
    let rename = |name: &str| {
        let body = patch(&json!({ "op": "replace", "path": "displayName", "value": name }));
        send(&host, "PATCH", &format!("/Groups/{second}"), &[], Some(body)).status
    };
    assert_eq!(rename("Crew"), 200);
    set(&host, "PATCH", "/admin/settings", on);
    assert_eq!((name("STAFF"), rename("OTHER"), rename("CREW"), name("New")), (409, 409, 200, 201));
    let schema = ok(&host, "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", None);
    assert_eq!(schema["attributes"][0]["uniqueness"], "server");
    set(&host, "PATCH", "/admin/settings", json!({ "uniqueGroupNames": false }));
    assert_eq!(name("STAFF"), 201);
    let keyed = Keyed { resource_type: "Group".into(), attribute: "displayName".into(), unique: true };
    assert_eq!(host.memory.count(&keys::keyed(&keyed)).unwrap(), 0);
}

#[test]
fn passwords_are_kept_as_hashes_where_the_tenant_says_so() {
    let host = TestHost::default();
    set(&host, "PATCH", "/admin/settings", json!({ "passwords": true }));
    assert_eq!(ok(&host, "GET", "/ServiceProviderConfig", None)["changePassword"]["supported"], true);
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "password": "hunter2" })));
    let id = user["id"].as_str().unwrap().to_owned();
    let path = format!("/Users/{id}");
    let kept = |password: &str| {
        let hash = host.memory.get(&[keys::password(&id)]).unwrap().remove(0);
        hash.is_some_and(|hash| password::matches(password, std::str::from_utf8(&hash).unwrap()))
    };
    assert!(kept("hunter2") && !kept("hunter3"));
    let change = |op: &str, value: Json| {
        let mut operation = json!({ "op": op, "path": "password" });
        if !value.is_null() {
            operation["value"] = value;
        }
        ok(&host, "PATCH", &path, Some(patch(&operation)))
    };
    let patched = change("replace", json!("hunter3"));
    assert!(kept("hunter3"));
    assert_ne!(patched["meta"]["version"], user["meta"]["version"]);
    assert_ne!(patched["meta"]["lastModified"], user["meta"]["lastModified"]);
    ok(&host, "PUT", &path, Some(json!({ "userName": "ann" })));
    assert!(kept("hunter3"));
    ok(&host, "PUT", &path, Some(json!({ "userName": "ann", "password": "hunter4" })));
    assert!(kept("hunter4"));
    ok(
        &host,
        "PATCH",
        &path,
        Some(patch(&json!({ "op": "replace", "value": { "password": "hunter5", "title": "x" } }))),
    );
    assert!(kept("hunter5"));
    let removed = change("remove", Json::Null);
    assert!(!kept("hunter5"));
    assert_eq!(change("remove", Json::Null)["meta"], removed["meta"]);
    change("add", json!("hunter6"));
    assert!(kept("hunter6"));
    let log = log(&host);
    assert_eq!(log.iter().filter(|record| record.password_changed).count(), 6);
    for (_, value) in host.memory.dump() {
        assert!(!String::from_utf8_lossy(&value).contains("hunter"));
    }
    let too_long = Some(json!({ "userName": "bob", "password": "x".repeat(limits::PASSWORD_BYTES + 1) }));
    assert_eq!(send(&host, "POST", "/Users", &[], too_long).status, 400);
    let filter = send(&host, "GET", "/Users?filter=password%20eq%20%22hunter6%22", &[], None);
    assert_eq!(filter.status, 400);
    ok(&host, "DELETE", &path, None);
    assert_eq!(host.memory.get(&[keys::password(&id)]).unwrap(), [None]);
}

#[test]
fn the_log_is_read_from_where_one_left_off() {
    let host = TestHost::default();
    for i in 0..5 {
        create(&host, &format!("u{i}"));
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = set(&host, "GET", &format!("/admin/log?after={after}&count=2"), Json::Null);
        seen.extend(
            page["records"].as_array().unwrap().iter().map(|r| r["after"]["userName"].as_str().unwrap().to_owned()),
        );
        assert_eq!(page["records"].as_array().unwrap().last().unwrap()["sequence"], page["next"]);
        after = page["next"].as_u64().unwrap();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, ["u0", "u1", "u2", "u3", "u4"]);
    let page = set(&host, "GET", &format!("/admin/log?after={after}"), Json::Null);
    assert_eq!(page, json!({ "records": [], "next": after, "more": false }));
    let detail = refuse(&host, "GET", "/admin/log?after=-1", None, 400);
    assert!(detail.starts_with("after: found -1"), "{detail}");
}

/// An attribute that may be anything, sensible or not.
fn attribute() -> impl Strategy<Value = Json> {
    let name = prop_oneof!["[a-c]", "[a-zA-Z$._-]{0,6}", Just("id".to_owned()), Just("value".to_owned())];
    let kind = prop::sample::select(vec!["string", "boolean", "integer", "decimal", "dateTime", "complex", "odd"]);
    let uniqueness = prop::sample::select(vec!["none", "server"]);
    let leaf = (name, kind, uniqueness, any::<[bool; 4]>()).prop_map(|(name, kind, uniqueness, flags)| {
        json!({
            "name": name, "type": kind, "uniqueness": uniqueness,
            "multiValued": flags[0], "required": flags[1], "caseExact": flags[2], "indexed": flags[3],
        })
    });
    (leaf.clone(), prop::collection::vec(leaf, 0..3)).prop_map(|(mut attribute, subs)| {
        if !subs.is_empty() {
            attribute["subAttributes"] = Json::Array(subs);
        }
        attribute
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any schema document is refused with a reason, or taken; what is taken reads back as it was and can be put again.
    #[test]
    fn any_schema_is_refused_or_kept(attributes in prop::collection::vec(attribute(), 0..4)) {
        let host = TestHost::default();
        let target = format!("/admin/schemas/{BADGE}");
        let response = admin(&host, "PUT", &target, Some(badge(Json::Array(attributes))));
        if response.status == 201 {
            set(&host, "PUT", "/admin/resource-types/User", user_type(false));
            let shown = set(&host, "GET", &target, Json::Null);
            let before = host.memory.dump();
            prop_assert_eq!(set(&host, "PUT", &target, shown.clone()), shown);
            prop_assert_eq!(host.memory.dump(), before);
            create(&host, "ann");
        } else {
            prop_assert_eq!(response.status, 400);
        }
    }

    /// However a schema changes over the same users, the store's keys are those of the schema that holds in the end.
    #[test]
    fn keys_follow_the_schema(steps in prop::collection::vec((any::<[bool; 4]>(), 0..6u8), 1..6)) {
        let host = with_badges(json!([{ "name": "number" }]));
        for ([indexed, unique, exact, required], value) in steps {
            badged(&host, &format!("u{}", host.clock.get()), json!({ "number": if value % 2 == 0 { format!("A{value}") } else { format!("a{value}") } }));
            let uniqueness = if unique { "server" } else { "none" };
            let attribute = json!({ "name": "number", "indexed": indexed, "uniqueness": uniqueness, "caseExact": exact, "required": required });
            admin(&host, "PUT", &format!("/admin/schemas/{BADGE}"), Some(badge(json!([attribute]))));
        }
        let schema = set(&host, "GET", &format!("/admin/schemas/{BADGE}"), Json::Null);
        let attribute = &schema["attributes"][0];
        let users = ok(&host, "GET", "/Users", None)["totalResults"].as_u64().unwrap();
        let count = |unique| {
            let keyed = Keyed { resource_type: "User".into(), attribute: format!("{BADGE}:number"), unique };
            host.memory.count(&keys::keyed(&keyed)).unwrap()
        };
        prop_assert_eq!(count(false), if attribute["indexed"] == true { users } else { 0 });
        prop_assert_eq!(count(true), if attribute["uniqueness"] == "server" { users } else { 0 });
    }
}

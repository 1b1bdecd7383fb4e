//! Single sentences of the RFCs that no other test shows; docs/conformance.md refers to them.

mod common;

use std::collections::BTreeSet;

use common::{Json, TestHost, create, group, ok, patch, send};
use scimwell_guest::http::Response;
use serde_json::json;

fn etag(response: &Response) -> Option<&str> {
    response.headers.iter().find(|header| header.name == "etag").map(|header| header.value.as_str())
}

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

/// RFC 7643 §3.1: `id` is unique among all resources, never given again, and not the client's to choose.
#[test]
fn ids_are_unique_and_never_given_again() {
    let host = TestHost::default();
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let user = create(&host, "ann");
        let staff = group(&host, "staff", &[&user]);
        for id in [&user, &staff] {
            assert!(!id.is_empty() && !id.contains("bulkId") && seen.insert(id.clone()), "{id}");
        }
        ok(&host, "DELETE", &format!("/Users/{user}"), None);
        ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    }
    let old = seen.first().unwrap();
    let chosen = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "id": old })));
    assert!(!seen.contains(chosen["id"].as_str().unwrap()));
}

/// RFC 7643 §3.1: `lastModified` is `created` until something changes; what changes nothing leaves it (RFC 7644 §3.5.2.1).
#[test]
fn last_modified_is_created_until_something_changes() {
    let host = TestHost::default();
    for (path, resource) in [("/Users", json!({ "userName": "ann" })), ("/Groups", json!({ "displayName": "staff" }))] {
        let created = ok(&host, "POST", path, Some(resource.clone()));
        let meta = &created["meta"];
        assert_eq!(meta["lastModified"], meta["created"]);
        let path = format!("{path}/{}", created["id"].as_str().unwrap());
        ok(&host, "PUT", &path, Some(resource));
        let title = |value: &str| Some(patch(&json!({ "op": "replace", "path": "externalId", "value": value })));
        let changed = ok(&host, "PATCH", &path, title("x"));
        assert_eq!(changed["meta"]["created"], meta["created"]);
        assert!(changed["meta"]["lastModified"].as_str() > meta["lastModified"].as_str());
        assert_eq!(ok(&host, "PATCH", &path, title("x"))["meta"], changed["meta"]);
    }
}

/// RFC 7643 §3.1, RFC 7644 §3.14: `meta.version` is the entity tag, in answers to reads and to writes; weak tags are marked.
#[test]
fn the_version_in_meta_is_the_etag() {
    let host = TestHost::default();
    let created = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "ann" })));
    let path = format!("/Users/{}", body(&created)["id"].as_str().unwrap());
    let title = patch(&json!({ "op": "add", "path": "title", "value": "x" }));
    let answers = [
        created,
        send(&host, "GET", &path, &[], None),
        send(&host, "PATCH", &path, &[], Some(title)),
        send(&host, "PUT", &path, &[], Some(json!({ "userName": "ann" }))),
    ];
    let versions: Vec<Json> = answers.iter().map(|answer| body(answer)["meta"]["version"].clone()).collect();
    for (answer, version) in answers.iter().zip(&versions) {
        assert_eq!(etag(answer), version.as_str());
        assert!(version.as_str().unwrap().starts_with("W/\""), "{version}");
    }
    assert_eq!(versions[0], versions[1]);
    assert!(versions[1] != versions[2] && versions[2] != versions[3] && versions[1] != versions[3]);
}

/// RFC 7643 §2.2: what an attribute is where its schema does not say.
#[test]
fn attributes_have_the_defaults_of_the_rfc() {
    let host = TestHost::default();
    let admin = [("authorization", "Bearer admin")];
    let urn = "urn:example:params:scim:schemas:extension:Badge";
    let schema = json!({ "id": urn, "attributes": [{ "name": "number" }] });
    assert_eq!(send(&host, "PUT", &format!("/admin/schemas/{urn}"), &admin, Some(schema)).status, 201);
    let user = json!({ "schemaExtensions": [
        { "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "required": false },
        { "schema": urn, "required": false },
    ] });
    assert_eq!(send(&host, "PUT", "/admin/resource-types/User", &admin, Some(user)).status, 200);
    let shown = ok(&host, "GET", &format!("/Schemas/{urn}"), None);
    let attribute = &shown["attributes"][0];
    for (characteristic, expect) in [
        ("type", json!("string")),
        ("multiValued", json!(false)),
        ("required", json!(false)),
        ("caseExact", json!(false)),
        ("mutability", json!("readWrite")),
        ("returned", json!("default")),
        ("uniqueness", json!("none")),
    ] {
        assert_eq!(attribute[characteristic], expect, "{characteristic}");
    }
    assert_eq!(attribute.get("canonicalValues"), None);
}

/// RFC 9865 §6.1: a cursor lets nobody in.
#[test]
fn a_cursor_gives_no_rights() {
    let host = TestHost::default();
    for name in ["ann", "bob"] {
        create(&host, name);
    }
    let cursor = ok(&host, "GET", "/Users?count=1&cursor", None)["nextCursor"].as_str().unwrap().to_owned();
    let target = format!("/Users?count=1&cursor={cursor}");
    let status = |token: &str| send(&host, "GET", &target, &[("authorization", token)], None).status;
    assert_eq!((status("Bearer wrong"), status("Bearer other"), status("Bearer T")), (401, 403, 200));
}

/// RFC 7643 §2.3.7, §4.1.2: what a reference points to is found there.
#[test]
fn references_lead_to_what_they_name() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    let follow = |resource: &Json, attribute: &str| {
        let reference = resource[attribute][0]["$ref"].as_str().unwrap();
        ok(&host, "GET", reference.strip_prefix("https://h/scim/v2").unwrap(), None)["id"].clone()
    };
    assert_eq!(follow(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members"), json!(user));
    assert_eq!(follow(&ok(&host, "GET", &format!("/Users/{user}"), None), "groups"), json!(staff));
}

/// RFC 7643 §4.2: `members.display` is there for whoever asks for it.
#[test]
fn the_names_of_members_come_on_request() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let path = format!("/Groups/{}", group(&host, "staff", &[&user]));
    assert_eq!(ok(&host, "GET", &path, None)["members"][0].get("display"), None);
    let asked = ok(&host, "GET", &format!("{path}?attributes=members.display"), None);
    assert_eq!(asked["members"], json!([{ "display": "ann" }]));
}

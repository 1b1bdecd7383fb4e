//! Tolerances from the outside: each is accepted under `auto`, refused under `strict` with its name and the correct form,
//! switchable by itself, and reported; docs/compat.md says so.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written where they are used")]

mod common;

use std::collections::BTreeSet;

use common::{Json, TestHost, log, send};
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::compat::{ITEMS, Item, Profile, Tolerance};
use scimwell_guest::http::Response;
use serde_json::json;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SCIM: (&str, &str) = ("content-type", "application/scim+json");

/// A request that needs one tolerance, and what must come of it.
struct Case {
    tolerance: Tolerance,
    method: &'static str,
    target: String,
    media_type: &'static str,
    body: Option<Json>,
    /// Where the user shows that it was read as it should.
    shows: (&'static str, Json),
}

/// A tenant with a user and a group that the user is in, and their ids.
fn tenant() -> (TestHost, String, String) {
    let host = TestHost::default();
    let user = json!({ "schemas": [USER], "userName": "ann", "title": "Guide", "emails": [{ "value": "a@x", "type": "work" }] });
    let id = strictly(&host, "POST", "/Users", user);
    let group = json!({ "schemas": [GROUP], "displayName": "G", "members": [{ "value": id }] });
    let group = strictly(&host, "POST", "/Groups", group);
    (host, id, group)
}

/// Sent as the RFCs want it; returns the id.
fn strictly(host: &TestHost, method: &str, target: &str, body: Json) -> String {
    let response = send(host, method, target, &[SCIM], Some(body));
    let shown: Json = serde_json::from_slice(&response.body).unwrap();
    assert!(response.status < 300, "{shown}");
    shown["id"].as_str().unwrap().to_owned()
}

fn set(host: &TestHost, settings: Json) -> Json {
    let response = send(host, "PATCH", "/admin/settings", &[("authorization", "Bearer admin")], Some(settings));
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    serde_json::from_slice(&response.body).unwrap()
}

fn report(host: &TestHost) -> Json {
    let response = send(host, "GET", "/admin/tolerances", &[("authorization", "Bearer admin")], None);
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    serde_json::from_slice(&response.body).unwrap()
}

/// The report's rows: id, whether refused, and the row.
fn rows(host: &TestHost) -> Vec<(String, bool, Json)> {
    let report = report(host);
    let clients = report["clients"].as_array().unwrap().clone();
    let rows = clients.iter().flat_map(|client| client["tolerances"].as_array().unwrap().clone());
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row["refused"] == true, row)).collect()
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases(id: &str, group: &str) -> Vec<Case> {
    let case = |tolerance, method, target: String, body, shows| {
        let media_type = "application/scim+json";
        Case { tolerance, method, target, media_type, body, shows }
    };
    let user = || format!("/Users/{id}");
    let operation = |operation: Json| Some(json!({ "schemas": [PATCH], "Operations": [operation] }));
    let put = |(name, value): (&str, Json)| {
        let mut body = json!({ "schemas": [USER], "userName": "ann" });
        body[name] = value;
        Some(body)
    };
    let roles = json!([{ "value": "admin" }]);
    let untouched = || ("/userName", json!("ann"));
    let mut cases = vec![
        case(
            Tolerance::OperationCase,
            "PATCH",
            user(),
            operation(json!({ "op": "Replace", "path": "title", "value": "Chief" })),
            ("/title", json!("Chief")),
        ),
        case(
            Tolerance::MethodCase,
            "POST",
            "/Bulk".into(),
            Some(
                json!({ "schemas": [BULK], "Operations": [{ "method": "patch", "path": format!("/Users/{id}"), "data":
                { "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "title", "value": "Chief" }] } }] }),
            ),
            ("/title", json!("Chief")),
        ),
        case(Tolerance::BooleanString, "PUT", user(), put(("active", json!("False"))), ("/active", json!(false))),
        case(
            Tolerance::RemoveByValue,
            "PATCH",
            format!("/Groups/{group}"),
            operation(json!({ "op": "remove", "path": "members", "value": [{ "value": id }] })),
            ("/groups", Json::Null),
        ),
        case(
            Tolerance::CreateFromFilter,
            "PATCH",
            user(),
            operation(json!({ "op": "replace", "path": "emails[type eq \"home\"].value", "value": "h@x" })),
            ("/emails/1", json!({ "type": "home", "value": "h@x" })),
        ),
        case(
            Tolerance::DottedKey,
            "PUT",
            user(),
            put(("name.givenName", json!("Ann"))),
            ("/name/givenName", json!("Ann")),
        ),
        case(
            Tolerance::ComplexShape,
            "PUT",
            user(),
            put((ENTERPRISE, json!({ "manager": id }))),
            ("/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager/value", json!(id)),
        ),
        case(
            Tolerance::SingleForArray,
            "PUT",
            user(),
            put(("emails", json!({ "value": "b@x" }))),
            ("/emails", json!([{ "value": "b@x" }])),
        ),
        case(Tolerance::ArrayForSingle, "PUT", user(), put(("title", json!(["Chief"]))), ("/title", json!("Chief"))),
        case(
            Tolerance::JsonInString,
            "PUT",
            user(),
            put(("roles", json!(["{\"value\": \"admin\"}"]))),
            ("/roles", roles),
        ),
        case(
            Tolerance::ExtensionAtTop,
            "PUT",
            user(),
            put(("department", json!("R&D"))),
            ("/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department", json!("R&D")),
        ),
        case(Tolerance::EmptyString, "PUT", user(), put(("title", json!(""))), ("/title", Json::Null)),
        case(Tolerance::Unknown, "PUT", user(), put(("shoeSize", json!(9))), ("/shoeSize", Json::Null)),
        case(Tolerance::UnquotedLiteral, "GET", "/Users?filter=userName%20eq%20ann".into(), None, untouched()),
        case(Tolerance::MissingSchemas, "PUT", user(), Some(json!({ "userName": "ann" })), ("/title", Json::Null)),
        case(Tolerance::BadPageNumber, "GET", "/Users?count=ten".into(), None, untouched()),
        case(
            Tolerance::LegacyUrn,
            "PUT",
            user(),
            put(("urn:scim:schemas:extension:enterprise:1.0", json!({ "department": "R&D" }))),
            ("/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department", json!("R&D")),
        ),
        case(
            Tolerance::ReadOnlyEcho,
            "PATCH",
            user(),
            operation(json!({ "op": "replace", "value": { "id": id, "title": "Chief" } })),
            ("/title", json!("Chief")),
        ),
        case(Tolerance::UrlPath, "GET", format!("/users/{id}/"), None, untouched()),
        case(Tolerance::QueryForm, "GET", "/Users?count=1&".into(), None, untouched()),
        case(Tolerance::PlusForSpace, "GET", "/Users?filter=userName+eq+%22ann%22".into(), None, untouched()),
        case(
            Tolerance::NumberString,
            "POST",
            "/Users/.search".into(),
            Some(json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": "1" })),
            untouched(),
        ),
    ];
    let json_body =
        case(Tolerance::MediaType, "PUT", user(), put(("title", json!("Chief"))), ("/title", json!("Chief")));
    cases.push(Case { media_type: "application/json", ..json_body });
    cases
}

fn run(host: &TestHost, case: &Case) -> Response {
    let headers = [("content-type", case.media_type), ("user-agent", "IdP/1.0")];
    send(host, case.method, &case.target, &headers, case.body.clone())
}

/// Of a bulk request, the answer of its only operation.
fn outcome(response: &Response) -> (u64, Json) {
    let body: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    match body.pointer("/Operations/0/status").and_then(Json::as_str) {
        Some(status) => (status.parse().unwrap(), body["Operations"][0]["response"].clone()),
        None => (response.status.into(), body),
    }
}

fn shown(host: &TestHost, id: &str) -> Json {
    serde_json::from_slice(&send(host, "GET", &format!("/Users/{id}"), &[], None).body).unwrap()
}

/// Runs `check` for each case on a tenant of its own.
fn each(settings: impl Fn(&Case) -> Json, check: impl Fn(&TestHost, &str, &Case)) {
    let mut done = BTreeSet::new();
    for number in 0..ITEMS.len() {
        let (host, id, group) = tenant();
        let case = cases(&id, &group).swap_remove(number);
        set(&host, settings(&case));
        check(&host, &id, &case);
        done.insert(case.tolerance);
    }
    assert_eq!(done.len(), ITEMS.len(), "a tolerance without a case, or a case twice");
}

fn accepted(host: &TestHost, id: &str, case: &Case) {
    let name = case.tolerance.id();
    let (status, body) = outcome(&run(host, case));
    assert!(status < 300, "{name}: {status} {body}");
    let (pointer, expect) = &case.shows;
    assert_eq!(shown(host, id).pointer(pointer).unwrap_or(&Json::Null), expect, "{name}");
    if case.method == "GET" && case.target.contains('?') {
        assert_eq!(body["totalResults"], 1, "{name}: {body}");
    }
}

fn refused(host: &TestHost, case: &Case) {
    let Item { id, correct, .. } = case.tolerance.item();
    let (status, body) = outcome(&run(host, case));
    let detail = body["detail"].as_str().unwrap_or_default();
    assert_eq!(status, 400, "{id}: {body}");
    assert!(detail.contains(&format!("the tolerance `{id}` is off; {correct}")), "{id}: {detail}");
}

#[test]
fn auto_accepts_each_and_tells_in_the_log_and_the_report() {
    each(
        |_| json!({}),
        |host, id, case| {
            accepted(host, id, case);
            let name = case.tolerance.id();
            let rows = rows(host);
            let [(found, false, row)] = rows.as_slice() else { panic!("{name}: {rows:?}") };
            assert_eq!(found, name);
            let changes = log(host).iter().filter(|record| record.tolerances == [case.tolerance]).count();
            let writes = case.method != "GET" && !case.target.ends_with(".search");
            assert_eq!((changes, &row["changes"]), (usize::from(writes), &json!(usize::from(writes))), "{name}");
            let example = &row["examples"][0];
            assert_eq!((&example["method"], &example["userAgent"]), (&json!(case.method), &json!("IdP/1.0")), "{name}");
            assert!(example["place"].is_string() && example["time"].is_string(), "{name}: {example}");
        },
    );
}

#[test]
fn strict_refuses_each_with_its_name_and_the_correct_form() {
    each(
        |_| json!({ "profile": "strict" }),
        |host, _, case| {
            let before = host.memory.dump();
            refused(host, case);
            let name = case.tolerance.id();
            let rows = rows(host);
            assert_eq!(rows.len(), 1, "{name}: {rows:?}");
            assert_eq!((rows[0].0.as_str(), rows[0].1, &rows[0].2["changes"]), (name, true, &json!(0)), "{name}");
            // The report is all that is left of it.
            let deleted = send(host, "DELETE", "/admin/tolerances", &[("authorization", "Bearer admin")], None);
            assert_eq!(deleted.status, 204);
            assert_eq!(host.memory.dump(), before, "{name}");
        },
    );
}

#[test]
fn each_is_switched_by_itself() {
    let only = |case: &Case| json!({ "profile": "strict", "tolerances": { (case.tolerance.id()): true } });
    each(only, accepted);
    let without = |case: &Case| json!({ "tolerances": { (case.tolerance.id()): false } });
    each(without, |host, _, case| refused(host, case));
}

#[test]
fn a_providers_profile_accepts_what_the_provider_sends() {
    for profile in Profile::ALL {
        let name = serde_json::to_value(profile).unwrap();
        each(
            |_| json!({ "profile": name }),
            |host, id, case| match profile.accepts(case.tolerance) {
                true => accepted(host, id, case),
                false => refused(host, case),
            },
        );
    }
}

/// A provider that maps one attribute too many loses that one, not the change.
#[test]
fn a_path_to_an_unknown_attribute_is_passed_over_and_reported() {
    let (host, id, _) = tenant();
    let operations = json!([
        { "op": "replace", "path": "jobTitle", "value": "Chief" },
        { "op": "replace", "path": "title", "value": "Chief" },
    ]);
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    let patch = || send(&host, "PATCH", &format!("/Users/{id}"), &[SCIM], Some(body.clone()));
    set(&host, json!({ "profile": "strict" }));
    let before = shown(&host, &id);
    let refused: Json = serde_json::from_slice(&patch().body).unwrap();
    assert_eq!((&refused["status"], &refused["scimType"]), (&json!("400"), &json!("invalidPath")));
    assert!(refused["detail"].as_str().unwrap().contains("the tolerance `unknown` is off"), "{refused}");
    assert_eq!(shown(&host, &id), before);
    for profile in ["auto", "okta", "entra", "onelogin", "ping", "jumpcloud", "google"] {
        set(&host, json!({ "profile": profile }));
        assert_eq!(patch().status, 200, "{profile}");
    }
    assert_eq!(shown(&host, &id)["title"], "Chief");
    let records = log(&host);
    let record = records.iter().find(|record| record.after.get("title") == Some(&json!("Chief"))).unwrap();
    assert_eq!(record.tolerances, [Tolerance::Unknown]);
    let rows = rows(&host);
    let outcomes: Vec<_> = rows.iter().map(|(id, refused, _)| (id.as_str(), *refused)).collect();
    assert_eq!(outcomes, [("unknown", false), ("unknown", true)]);
    let example = &rows[0].2["examples"][0];
    assert_eq!((&example["place"], &example["sent"]), (&json!("Operations[0].path"), &json!("\"jobTitle\"")));
}

#[test]
fn settings_are_merged_and_checked() {
    let host = TestHost::default();
    let settings = set(&host, json!({ "profile": "entra", "tolerances": { "boolean-string": false } }));
    assert_eq!((&settings["profile"], &settings["tolerances"]), (&json!("entra"), &json!({ "boolean-string": false })));
    let settings = set(&host, json!({ "tolerances": { "unknown": true } }));
    assert_eq!(settings["tolerances"], json!({ "boolean-string": false, "unknown": true }));
    let settings = set(&host, json!({ "tolerances": { "unknown": null } }));
    assert_eq!(settings["tolerances"], json!({ "boolean-string": false }));
    assert_eq!(set(&host, json!({ "tolerances": null }))["tolerances"], json!({}));
    for (body, expect) in [
        (json!({ "profile": "okto" }), "profile: unknown variant `okto`"),
        (json!({ "tolerances": { "boolean": true } }), "tolerances: unknown variant `boolean`"),
        (json!({ "tolerances": { "unknown": "no" } }), "tolerances: "),
    ] {
        let response = send(&host, "PATCH", "/admin/settings", &[("authorization", "Bearer admin")], Some(body));
        let error: Json = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 400);
        assert!(error["detail"].as_str().unwrap().starts_with(expect), "{error}");
    }
}

#[test]
fn entra_gets_no_content_for_a_group_and_the_body_of_a_user() {
    let (host, id, group) = tenant();
    let status = |target: String, path: &str| {
        let operation = json!({ "op": "replace", "path": path, "value": "X" });
        let body = json!({ "schemas": [PATCH], "Operations": [operation] });
        send(&host, "PATCH", &target, &[SCIM], Some(body)).status
    };
    let both = || (status(format!("/Users/{id}"), "title"), status(format!("/Groups/{group}"), "displayName"));
    assert_eq!(both(), (200, 200));
    set(&host, json!({ "profile": "entra" }));
    assert_eq!(both(), (200, 204));
    set(&host, json!({ "patchReply": "resource" }));
    assert_eq!(both(), (200, 200));
}

#[test]
fn the_report_shows_the_pieces_and_no_secret() {
    let (host, id, _) = tenant();
    let patched = |operation: Json| {
        let body = json!({ "schemas": [PATCH], "Operations": [operation] });
        send(&host, "PATCH", &format!("/Users/{id}"), &[SCIM], Some(body)).status
    };
    assert_eq!(patched(json!({ "op": "Replace", "path": "active", "value": "False" })), 200);
    assert_eq!(patched(json!({ "op": "add", "path": "password", "value": ["hunter2"] })), 200);
    let report = report(&host);
    assert!(!report.to_string().contains("hunter2"));
    let rows = rows(&host);
    let sent = |id: &str| {
        let (_, _, row) = rows.iter().find(|(found, ..)| found == id).unwrap();
        (row["examples"][0]["place"].clone(), row["examples"][0]["sent"].clone())
    };
    assert_eq!(sent("operation-case"), (json!("Operations[0].op"), json!("\"Replace\"")));
    assert_eq!(sent("boolean-string"), (json!("Operations[0].value"), json!("\"False\"")));
    assert_eq!(sent("array-for-single"), (json!("Operations[0].value"), Json::Null));
}

#[test]
fn a_client_that_goes_on_is_not_written_down_again() {
    let (host, ..) = tenant();
    let search = |agent: &str| {
        let response = send(&host, "GET", "/Users?filter=userName+eq+%22x%22", &[("user-agent", agent)], None);
        assert_eq!(response.status, 200);
    };
    search("a");
    let once = host.memory.dump();
    search("a");
    assert_eq!(host.memory.dump(), once);
    // What makes the report grow is bounded, whatever the client calls itself.
    for number in 0..20 {
        search(&format!("agent {number}"));
    }
    let (.., row) = &rows(&host)[0];
    assert_eq!(row["examples"].as_array().unwrap().len(), 4);
    let before = row["last"].clone();
    host.clock.set(host.clock.get() + 2 * 60 * 60 * 1_000);
    search("a");
    assert_ne!(rows(&host)[0].2["last"], before);
}

#[test]
fn a_dry_run_leaves_nothing_for_the_report() {
    let (host, id, _) = tenant();
    let headers = [SCIM, ("scimwell-dry-run", "true")];
    let body = json!({ "schemas": [USER], "userName": "ann", "active": "True" });
    assert_eq!(send(&host, "PUT", &format!("/Users/{id}"), &headers, Some(body)).status, 200);
    assert!(rows(&host).is_empty());
}

#[test]
fn the_document_has_the_table_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compat.md");
    let text = std::fs::read_to_string(path).unwrap();
    let written: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let cell = |text: &str| text.replace('|', "\\|");
    let rows: Vec<String> = ITEMS
        .iter()
        .map(|item| {
            let others = Some(item.others).filter(|others| !others.is_empty());
            let senders: Vec<&str> = item.sent_by.iter().map(|profile| profile.name()).chain(others).collect();
            let cells = [item.accepts, item.read_as, item.correct, item.rfc, &senders.join(", ")].map(cell);
            format!("| `{}` | {} |", item.id, cells.join(" | "))
        })
        .collect();
    assert_eq!(written, rows, "docs/compat.md must have these rows:\n{}", rows.join("\n"));
}

/// Values of attributes, some as the RFC wants them and some not.
fn attribute() -> impl Strategy<Value = (String, Json)> {
    let mut choices = Vec::new();
    for (name, values) in [
        ("active", vec![json!(true), json!("True")]),
        ("title", vec![json!("Guide"), json!(""), json!(["Guide"]), Json::Null]),
        (
            "emails",
            vec![json!([{ "value": "e@x", "type": "work" }]), json!({ "value": "e@x" }), json!([]), json!("e@x")],
        ),
        ("roles", vec![json!([{ "value": "r", "primary": true }]), json!([{ "value": "r", "primary": "true" }])]),
        ("name", vec![json!({ "givenName": "A" }), json!({ "given": "A" })]),
        ("name.familyName", vec![json!("B")]),
        ("department", vec![json!("R")]),
        (ENTERPRISE, vec![json!({ "manager": { "value": "1" } }), json!({ "manager": "1" })]),
        ("urn:scim:schemas:extension:enterprise:1.0", vec![json!({ "costCenter": "1" })]),
        ("nickName", vec![json!("N"), json!(5)]),
        ("shoeSize", vec![json!(9)]),
    ] {
        choices.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }
    select(choices)
}

fn object() -> impl Strategy<Value = Json> {
    proptest::collection::vec(attribute(), 0..4).prop_map(|attributes| Json::Object(attributes.into_iter().collect()))
}

fn request() -> impl Strategy<Value = (&'static str, String, Option<Json>)> {
    let written = vec![("PUT", "/Users/ID", "ann"), ("POST", "/Users", "bob"), ("POST", "/Users", "Ann")];
    let schemas = select(vec![json!([USER]), json!([USER, ENTERPRISE]), json!([])]);
    let put = (object(), schemas, select(written)).prop_map(|(mut body, schemas, (method, target, name))| {
        body["userName"] = json!(name);
        body["schemas"] = schemas;
        (method, target.to_owned(), Some(body))
    });
    let bulk = (object(), select(vec!["PUT", "put", "POST"])).prop_map(|(mut data, method)| {
        data["schemas"] = json!([USER, ENTERPRISE]);
        data["userName"] = json!("eve");
        let path = if method == "POST" { "/Users" } else { "/Users/ID" };
        let operation = json!({ "method": method, "path": path, "bulkId": "b", "data": data });
        ("POST", "/Bulk".to_owned(), Some(json!({ "schemas": [BULK], "Operations": [operation] })))
    });
    let at_path = (attribute(), select(vec!["emails[type eq \"home\"].value", "emails[type eq \"work\"].value", ""]));
    let operation = (select(vec!["add", "replace", "remove", "Replace"]), at_path, object(), any::<bool>());
    let patch = operation.prop_map(|(op, ((name, value), path), object, rootless)| {
        let operation = match (rootless, path) {
            (true, _) => json!({ "op": op, "value": object }),
            (false, "") => json!({ "op": op, "path": name, "value": value }),
            (false, path) => json!({ "op": op, "path": path, "value": "v@x" }),
        };
        ("PATCH", "/Users/ID".to_owned(), Some(json!({ "schemas": [PATCH], "Operations": [operation] })))
    });
    let targets = vec![
        "/Users?filter=userName%20eq%20%22ann%22",
        "/Users?filter=userName+eq+%22ann%22",
        "/Users?filter=userName%20eq%20ann",
        "/Users?filter=active%20eq%20true&count=1",
        "/Users?filter=title%20eq%20%22a%2Bb%22",
        "/Users?startIndex=1&count=x",
        "/Users/ID",
        "/users/ID",
        "/Users?attributes=userName&",
    ];
    prop_oneof![put, bulk, patch, select(targets).prop_map(|target| ("GET", target.to_owned(), None))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What `strict` accepts, `auto` accepts with the same result, however the requests before it went. What it refuses
    /// changes nothing there.
    #[test]
    fn auto_does_what_strict_does(requests in proptest::collection::vec(request(), 1..6)) {
        let (strict, id, _) = tenant();
        let (auto, same, _) = tenant();
        prop_assert_eq!(&id, &same);
        set(&strict, json!({ "profile": "strict" }));
        set(&auto, json!({ "profile": "auto" }));
        for (method, target, body) in requests {
            let target = target.replace("ID", &id);
            let body = body.map(|body| serde_json::from_str(&body.to_string().replace("/ID", &format!("/{id}"))).unwrap());
            let answer = send(&strict, method, &target, &[SCIM], body.clone());
            if outcome(&answer).0 >= 400 {
                // Both clocks go on alike, and so do new ids.
                auto.clock.set(strict.clock.get());
                auto.drawn.set(strict.drawn.get());
                continue;
            }
            prop_assert_eq!(answer, send(&auto, method, &target, &[SCIM], body), "{} {}", method, target);
        }
        prop_assert_eq!(shown(&strict, &id), shown(&auto, &id));
    }
}

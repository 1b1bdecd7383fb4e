//! Bulk (RFC 7644 §3.7) over the reference store: references, order, failures, all or nothing.

use scimwell_guest::http::Response;
use serde_json::json;

mod common;

use common::{Json, TestHost, add, create, group, log, ok, patch, refused, send, values};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn request(operations: &[Json]) -> Json {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations })
}

fn post(path: &str, bulk_id: &str, data: &Json) -> Json {
    json!({ "method": "POST", "path": path, "bulkId": bulk_id, "data": data })
}

fn user(bulk_id: &str) -> Json {
    post("/Users", bulk_id, &json!({ "userName": bulk_id }))
}

fn team(bulk_id: &str, members: &[&str]) -> Json {
    let members: Vec<Json> = members.iter().map(|member| json!({ "value": member })).collect();
    post("/Groups", bulk_id, &json!({ "displayName": bulk_id, "members": members }))
}

/// The operations of the reply.
fn run(host: &TestHost, operations: &[Json]) -> Vec<Json> {
    let reply = ok(host, "POST", "/Bulk", Some(request(operations)));
    assert_eq!(reply["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    reply["Operations"].as_array().unwrap().clone()
}

fn statuses(operations: &[Json]) -> Vec<&str> {
    operations.iter().map(|operation| operation["status"].as_str().unwrap()).collect()
}

fn id(operation: &Json) -> &str {
    operation["location"].as_str().unwrap().rsplit('/').next().unwrap()
}

fn read(host: &TestHost, operation: &Json) -> Json {
    let location = operation["location"].as_str().unwrap();
    ok(host, "GET", location.strip_prefix("https://h/scim/v2").unwrap(), None)
}

/// One operation, what becomes of it and what its error says.
fn check(host: &TestHost, operation: &Json, status: &str, scim_type: Option<&str>, detail: &str) {
    let before = common::kept(host);
    let done = run(host, std::slice::from_ref(operation));
    assert_eq!(statuses(&done), [status], "{operation}");
    let error = &done[0]["response"];
    assert_eq!((&error["status"], &error["scimType"]), (&json!(status), &json!(scim_type)), "{operation}");
    assert!(error["detail"].as_str().unwrap().contains(detail), "{operation}: {error}");
    assert_eq!(common::kept(host), before, "{operation} changed something");
}

#[test]
fn references_point_forward_and_the_reply_is_in_the_order_sent() {
    let host = TestHost::default();
    let done = run(&host, &[team("staff", &["bulkId:ann", "bulkId:bob"]), user("ann"), user("bob")]);
    assert_eq!(statuses(&done), ["201", "201", "201"]);
    assert_eq!(
        done[1],
        json!({
            "location": done[1]["location"], "method": "POST", "bulkId": "ann", "version": "W/\"1.0\"", "status": "201"
        })
    );
    assert_eq!(values(&read(&host, &done[0]), "members"), [id(&done[1]), id(&done[2])]);
    assert_eq!(done[0]["version"], read(&host, &done[0])["meta"]["version"]);
    let told: Vec<_> = log(&host).iter().map(|record| record.id.clone()).collect();
    assert_eq!(told, [id(&done[1]), id(&done[2]), id(&done[0])]);
}

#[test]
fn what_is_created_is_listed_in_the_order_sent() {
    let host = TestHost::default();
    let names: Vec<String> = (0..50).map(|i| format!("u{i}")).collect();
    run(&host, &names.iter().map(|name| user(name)).collect::<Vec<_>>());
    let listed = ok(&host, "GET", "/Users", None);
    let listed = listed["Resources"].as_array().unwrap().iter().map(|u| u["userName"].as_str().unwrap().to_owned());
    assert_eq!(listed.collect::<Vec<_>>(), names);
}

#[test]
fn circles_are_closed() {
    let host = TestHost::default();
    let done = run(&host, &[team("a", &["bulkId:b"]), user("ann"), team("b", &["bulkId:c"]), team("c", &["bulkId:a"])]);
    assert_eq!(statuses(&done), ["201"; 4]);
    for (holder, member) in [(0, 2), (2, 3), (3, 0)] {
        let found = read(&host, &done[holder]);
        assert_eq!(values(&found, "members"), [id(&done[member])]);
        assert_eq!(done[holder]["version"], found["meta"]["version"]);
    }
}

#[test]
fn references_resolve_wherever_they_stand() {
    let host = TestHost::default();
    let old = create(&host, "old");
    let staff = group(&host, "staff", &[&old]);
    let manager = json!({ ENTERPRISE: { "manager": { "value": "bulkId:boss" } }, "userName": "ann" });
    let operations = [
        post("/Users", "ann", &manager),
        user("boss"),
        user("temp"),
        json!({ "method": "PATCH", "path": format!("/Groups/{staff}"), "data": {
            "Operations": [
                { "op": "add", "path": "members", "value": [{ "value": "bulkId:ann" }, { "value": "bulkId:temp" }] },
                { "op": "remove", "path": "members[value eq \"bulkId:temp\" or value eq \"nobody\"]" },
                { "op": "remove", "path": format!("members[value eq \"{old}\"]") },
            ],
        }}),
        json!({ "method": "PUT", "path": "/Users/bulkId:boss", "data": { "userName": "boss", "title": "Boss" } }),
        json!({ "method": "PATCH", "path": "/Users/bulkId:ann", "bulkId": "told", "data": {
            "Operations": [{ "op": "replace", "value": { "title": "bulkId:boss" } }],
        }}),
        json!({ "method": "DELETE", "path": "/Users/bulkId:temp" }),
    ];
    let done = run(&host, &operations);
    assert_eq!(statuses(&done), ["201", "201", "201", "200", "200", "200", "204"]);
    let (ann, boss) = (read(&host, &done[0]), read(&host, &done[1]));
    assert_eq!(ann[ENTERPRISE]["manager"]["value"], boss["id"]);
    assert_eq!(ann["title"], boss["id"]);
    assert_eq!((&boss["title"], &done[4]["version"]), (&json!("Boss"), &boss["meta"]["version"]));
    assert_eq!(values(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members"), [id(&done[0])]);
    assert_eq!((&done[5]["bulkId"], &done[6]["version"]), (&json!("told"), &Json::Null));
    assert_eq!(done[6]["location"], format!("https://h/scim/v2/Users/{}", id(&done[2])));
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 3);
}

#[test]
fn versions_are_insisted_on() {
    let host = TestHost::default();
    let path = format!("/Users/{}", create(&host, "ann"));
    let title = |title: &str, version: &str| {
        let data = patch(&json!({ "op": "replace", "path": "title", "value": title }));
        json!({ "method": "PATCH", "path": path, "version": version, "data": data })
    };
    let done = run(&host, &[title("a", "W/\"1.0\""), title("b", "W/\"1.0\""), title("c", "W/\"2.0\"")]);
    assert_eq!(statuses(&done), ["200", "412", "200"]);
    assert_eq!(done[1]["response"]["status"], "412");
    assert_eq!(done[1]["location"], format!("https://h/scim/v2{path}"));
    assert_eq!(ok(&host, "GET", &path, None)["title"], "c");
}

#[test]
fn methods_in_any_case_and_what_was_tolerated_is_logged_where_it_was() {
    let host = TestHost::default();
    let lower = json!({ "method": "post", "path": "/users/", "bulkId": "a", "data": { "userName": "a" } });
    let done = run(&host, &[lower, user("b")]);
    assert_eq!((statuses(&done), &done[0]["method"]), (vec!["201", "201"], &json!("POST")));
    let tolerances: Vec<Json> = log(&host).iter().map(|record| json!(record.tolerances)).collect();
    assert_eq!(tolerances, [json!(["method-case", "missing-schemas", "url-path"]), json!(["missing-schemas"])]);
}

#[test]
fn an_operation_that_is_wrong_fails_alone() {
    let host = TestHost::default();
    create(&host, "taken");
    let value = Some("invalidValue");
    let syntax = Some("invalidSyntax");
    check(&host, &json!("x"), "400", syntax, "expected an object");
    check(&host, &json!({ "path": "/Users" }), "400", syntax, "method: missing");
    check(&host, &json!({ "method": 1, "path": "/Users" }), "400", syntax, "method: expected");
    check(&host, &json!({ "method": "POTS", "path": "/Users" }), "400", syntax, "did you mean `POST`?");
    check(&host, &json!({ "method": "GET", "path": "/Users" }), "400", syntax, "method: found \"GET\"");
    check(&host, &json!({ "method": "POST", "path": "/Users", "data": {} }), "400", value, "bulkId: missing");
    check(
        &host,
        &json!({ "method": "POST", "path": "/Users", "bulkId": 7, "data": {} }),
        "400",
        value,
        "bulkId: expected",
    );
    check(&host, &json!({ "method": "DELETE" }), "400", syntax, "path: missing");
    check(&host, &json!({ "method": "DELETE", "path": 1 }), "400", syntax, "path: expected");
    check(&host, &json!({ "method": "DELETE", "path": "/Users" }), "400", value, "path: DELETE is not offered");
    check(
        &host,
        &json!({ "method": "DELETE", "path": "/Devices/1" }),
        "400",
        value,
        "path: `/Devices/1` is no endpoint",
    );
    check(&host, &post("/Users/1", "a", &json!({})), "400", value, "path: POST is not offered");
    check(&host, &post("/Bulk", "a", &json!({})), "400", value, "not offered within a bulk request");
    check(&host, &json!({ "method": "POST", "path": "/Users", "bulkId": "a" }), "400", syntax, "data: missing");
    check(&host, &post("/Users", "a", &json!([])), "400", syntax, "data: expected");
    check(&host, &post("/Users", "a", &json!({})), "400", value, "userName");
    let versioned = json!({ "method": "POST", "path": "/Users", "bulkId": "a", "version": "1", "data": {} });
    check(&host, &versioned, "400", value, "version: a POST has no version");
    let versioned = json!({ "method": "DELETE", "path": "/Users/1", "version": 1 });
    check(&host, &versioned, "400", value, "version: expected");
    check(&host, &user("taken"), "409", Some("uniqueness"), "userName");
    check(&host, &json!({ "method": "DELETE", "path": "/Users/none" }), "404", None, "`none` does not exist");
    check(&host, &team("a", &["none"]), "400", value, "\"none\" is the id of no resource");
    check(&host, &team("a", &["bulkId:b"]), "400", value, "data.members[0].value: \"bulkId:b\" refers to no POST");
    check(&host, &team("a", &["bulkId:a"]), "400", value, "can't be its own member");
    let dangling = json!({ "method": "DELETE", "path": "/Users/bulkId:b" });
    check(&host, &dangling, "400", value, "path: \"bulkId:b\" refers to no POST");
    let dangling = patch(&json!({ "op": "remove", "path": "members[value eq \"bulkId:b\"]" }));
    let dangling = json!({ "method": "PATCH", "path": "/Groups/x", "data": dangling });
    check(&host, &dangling, "400", value, "data.Operations[0].path: \"bulkId:b\" refers to no POST");
}

#[test]
fn a_failed_post_has_no_location_and_the_others_stand() {
    let host = TestHost::default();
    let done =
        run(&host, &[user("ann"), user("ann2"), post("/Users", "x", &json!({ "userName": "ann" })), user("bob")]);
    assert_eq!(statuses(&done), ["201", "201", "409", "201"]);
    assert_eq!(done[2]["location"], Json::Null);
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 3);
}

#[test]
fn bulk_ids_are_unique() {
    let host = TestHost::default();
    let twice = post("/Users", "ann", &json!({ "userName": "other" }));
    let done = run(&host, &[user("ann"), twice, team("staff", &["bulkId:ann"]), user("bob")]);
    assert_eq!(statuses(&done), ["400", "400", "409", "201"]);
    let detail = done[0]["response"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("bulkId: \"ann\" is the bulkId of Operations[1] too"), "{detail}");
}

#[test]
fn what_refers_to_a_failure_is_409_and_says_so() {
    let host = TestHost::default();
    let nameless = post("/Users", "ann", &json!({ "displayName": "Ann" }));
    let done = run(&host, &[team("staff", &["bulkId:ann"]), team("all", &["bulkId:staff"]), nameless]);
    assert_eq!(statuses(&done), ["409", "409", "400"]);
    assert_eq!(
        done[0]["response"]["detail"],
        "bulkId:ann was not created, since Operations[2] failed. Repair that operation and send both again."
    );
    assert!(done[1]["response"]["detail"].as_str().unwrap().starts_with("bulkId:staff was not created"));
    assert_eq!(ok(&host, "GET", "/Groups", None)["totalResults"], 0);
}

#[test]
fn a_circle_with_a_failure_leaves_nothing() {
    let host = TestHost::default();
    let before = common::kept(&host);
    let done = run(&host, &[team("a", &["bulkId:b"]), team("b", &["bulkId:a", "none"])]);
    assert_eq!(statuses(&done), ["409", "400"]);
    let detail = done[0]["response"]["detail"].as_str().unwrap();
    assert!(detail.contains("and Operations[1] refer to each other in a circle"), "{detail}");
    assert_eq!(common::kept(&host), before);
}

#[test]
fn fail_on_errors_stops() {
    let names = ["a", "a", "b", "b", "c"];
    let numbered = |(index, name): (usize, &&str)| post("/Users", &index.to_string(), &json!({ "userName": name }));
    let mut body = request(&names.iter().enumerate().map(numbered).collect::<Vec<_>>());
    let all = ["201", "409", "201", "409", "201"];
    for (limit, ran) in [(json!(1), 2), (json!(2), 4), (json!("3"), 5), (Json::Null, 5)] {
        body["failOnErrors"] = limit.clone();
        let reply = ok(&TestHost::default(), "POST", "/Bulk", Some(body.clone()));
        assert_eq!(statuses(reply["Operations"].as_array().unwrap()), all[..ran], "failOnErrors {limit}");
    }
    let host = TestHost::default();
    let wrong = |value: Json| {
        let mut body = request(&[user("z")]);
        body["failOnErrors"] = value;
        refused(&host, "POST", "/Bulk", Some(body), 400)
    };
    for value in [json!(0), json!(-1), json!(1.5), json!("many"), json!([])] {
        assert!(wrong(value).starts_with("failOnErrors: expected an integer from 1"));
    }
}

#[test]
fn a_message_that_is_wrong_fails_as_a_whole() {
    let host = TestHost::default();
    let detail = |body: Json, status: u16| refused(&host, "POST", "/Bulk", Some(body), status);
    assert!(detail(json!([]), 400).contains("must be a JSON object"));
    assert!(detail(json!({ "Operations": {} }), 400).starts_with("Operations: expected an array"));
    assert!(detail(json!({}), 400).starts_with("Operations: missing"));
    let many: Vec<Json> = (0..1_001).map(|_| json!({})).collect();
    assert!(detail(request(&many), 413).contains("maxOperations is 1000"));
    let large = post("/Users", "a", &json!({ "userName": "a", "title": "x".repeat(1024 * 1024) }));
    assert!(detail(request(&[large]), 413).contains("maxPayloadSize is 1048576"));
    assert_eq!(run(&host, &[]), Vec::<Json>::new());
    let get = send(&host, "GET", "/Bulk", &[], None);
    assert_eq!((get.status, header(&get, "allow")), (405, Some("POST, OPTIONS")));
    let host = TestHost { read_only: true, ..TestHost::default() };
    assert!(refused(&host, "POST", "/Bulk", Some(request(&[])), 403).contains("`write`"));
}

#[test]
fn the_policy_finds_what_was_created_before() {
    let host = TestHost { seats: Some(2), ..TestHost::default() };
    let done = run(&host, &[user("a"), user("b"), user("c")]);
    assert_eq!(statuses(&done), ["201", "201", "403"]);
    assert_eq!(done[2]["response"]["detail"], "No seats left: buy more.");
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str())
}

fn atomic(host: &TestHost, operations: &[Json]) -> (Response, Json) {
    let headers = [("prefer", "handling=atomic")];
    let response = send(host, "POST", "/Bulk", &headers, Some(request(operations)));
    let body = serde_json::from_slice(&response.body).unwrap();
    (response, body)
}

#[test]
fn all_or_nothing() {
    let host = TestHost::default();
    let (response, body) = atomic(&host, &[team("staff", &["bulkId:ann"]), user("ann")]);
    assert_eq!((response.status, header(&response, "preference-applied")), (200, Some("handling=atomic")));
    assert_eq!(statuses(body["Operations"].as_array().unwrap()), ["201", "201"]);
    let before = common::kept(&host);
    let (response, error) = atomic(&host, &[user("bob"), team("all", &["bulkId:bob"]), user("ann"), json!({})]);
    assert_eq!((response.status, header(&response, "preference-applied")), (409, None));
    assert_eq!((&error["status"], &error["scimType"]), (&json!("409"), &json!("uniqueness")));
    assert!(error["detail"].as_str().unwrap().starts_with("Operations[2]: userName: another User"), "{error}");
    assert_eq!(common::kept(&host), before);
    let (response, error) = atomic(&host, &[team("a", &["bulkId:b"]), team("b", &["bulkId:a", "bulkId:c"])]);
    assert_eq!(response.status, 400);
    assert!(error["detail"].as_str().unwrap().starts_with("Operations[1]: data.members[1].value: \"bulkId:c\""));
    assert_eq!(common::kept(&host), before);
}

#[test]
fn all_or_nothing_is_one_commit_that_starts_again_when_it_loses_a_race() {
    let host = std::rc::Rc::new(TestHost::default());
    let ann = create(&host, "ann");
    let staff = group(&host, "staff", &[]);
    let (inner, path) = (host.clone(), format!("/Groups/{staff}"));
    let deleted = format!("/Users/{ann}");
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        ok(&inner, "DELETE", &deleted, None);
    }));
    let (response, error) =
        atomic(&host, &[user("bob"), json!({ "method": "PATCH", "path": path, "data": add(&ann) })]);
    assert_eq!(response.status, 400);
    assert!(error["detail"].as_str().unwrap().starts_with("Operations[1]: members.value"), "{error}");
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 0);
}

//! Search by POST and from the root, cursors, sorting, `/Me`, HEAD and OPTIONS, preconditions and preferences.

mod common;

use common::{Json, TestHost, add, create, group, ok, patch, refused, send};
use scimwell_guest::http::Response;
use scimwell_guest::store::keys;
use serde_json::json;

fn configure(host: &TestHost, settings: &Json) {
    let admin = [("authorization", "Bearer admin")];
    let response = send(host, "PATCH", "/admin/settings", &admin, Some(settings.clone()));
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
}

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap_or(Json::Null)
}

/// What the resources of a list are called.
fn names(list: &Json) -> Vec<String> {
    let name = |resource: &Json| {
        let found = resource.get("userName").or_else(|| resource.get("displayName"));
        found.and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    list["Resources"].as_array().unwrap().iter().map(name).collect()
}

fn list(host: &TestHost, target: &str) -> Json {
    ok(host, "GET", target, None)
}

fn search(host: &TestHost, target: &str, mut body: Json) -> Json {
    body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
    ok(host, "POST", target, Some(body))
}

/// Users ann and bob, groups admins and staff.
fn some() -> TestHost {
    let host = TestHost::default();
    create(&host, "ann");
    group(&host, "staff", &[]);
    create(&host, "bob");
    group(&host, "admins", &[]);
    host
}

/// Everything that a query finds by cursor, and how many pages it took.
fn traverse(host: &TestHost, target: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = list(host, &format!("{target}&cursor={cursor}"));
        assert_eq!(page.get("startIndex"), None);
        assert_eq!(page["itemsPerPage"], page["Resources"].as_array().unwrap().len());
        found.extend(names(&page));
        pages += 1;
        assert!(pages < 100, "{target} goes round in circles");
        match page.get("nextCursor") {
            Some(next) => next.as_str().unwrap().clone_into(&mut cursor),
            None => return (found, pages),
        }
    }
}

fn scim_type(response: &Response) -> String {
    assert_eq!(response.status, 400);
    body(response)["scimType"].as_str().unwrap_or_default().to_owned()
}

// RFC 7644 §3.4.3

#[test]
fn a_search_by_post_finds_what_the_query_finds() {
    let host = some();
    let by_post = search(
        &host,
        "/Users/.search",
        json!({ "filter": "userName sw \"a\"", "attributes": ["userName"], "startIndex": "1", "count": 5 }),
    );
    assert_eq!(by_post, list(&host, "/Users?filter=userName%20sw%20%22a%22&attributes=userName&startIndex=1&count=5"));
    assert_eq!(names(&by_post), ["ann"]);
    assert_eq!(names(&search(&host, "/Groups/.search", json!({ "sortBy": "displayName" }))), ["admins", "staff"]);
    assert_eq!(search(&host, "/.search", json!({}))["totalResults"], 4);
}

#[test]
fn a_search_by_post_needs_permission_to_read_only() {
    let host = TestHost { read_only: true, ..some() };
    assert_eq!(search(&host, "/Users/.search", json!({}))["totalResults"], 2);
    assert_eq!(search(&host, "/.search", json!({}))["totalResults"], 4);
}

#[test]
fn a_search_by_post_refuses_what_it_would_have_to_ignore() {
    let host = some();
    let detail = refused(&host, "POST", "/Users/.search?count=1", Some(json!({})), 400);
    assert!(detail.contains("body"), "{detail}");
    refused(&host, "POST", "/Users/.search", None, 400);
    refused(&host, "POST", "/.search", Some(json!({ "schemas": ["urn:x"] })), 400);
    refused(&host, "POST", "/.search", Some(json!({ "filter": "shoeSize gt 40" })), 400);
}

// RFC 7644 §3.4.2.1

#[test]
fn the_root_lists_all_types() {
    let host = some();
    assert_eq!(names(&list(&host, "/")), ["ann", "bob", "staff", "admins"]);
    let page = list(&host, "?startIndex=2&count=2&attributes=userName,displayName");
    assert_eq!((names(&page), &page["totalResults"]), (vec!["bob".to_owned(), "staff".to_owned()], &json!(4)));
    assert_eq!(names(&list(&host, "/?startIndex=4&count=2")), ["admins"]);
    assert_eq!(names(&list(&host, "/?startIndex=5")), [""; 0]);
    assert_eq!(list(&host, "/?count=0")["totalResults"], 4);
}

#[test]
fn a_filter_at_the_root_holds_in_each_type_on_its_own() {
    let host = some();
    let find = |filter: &str| {
        names(&search(&host, "/.search", json!({ "filter": filter, "excludedAttributes": ["members"] })))
    };
    assert_eq!(find("userName eq \"ann\""), ["ann"]);
    assert_eq!(find("userName eq \"ann\" or displayName eq \"staff\""), ["ann", "staff"]);
    assert_eq!(find("not (userName pr)"), ["staff", "admins"]);
    assert_eq!(find("meta.resourceType eq \"User\""), ["ann", "bob"]);
    assert_eq!(find("(meta.resourceType eq \"Group\") and displayName sw \"a\""), ["admins"]);
    assert_eq!(find("displayName co \"a\""), ["ann", "staff", "admins"]);
    let detail = refused(&host, "GET", "/?filter=usrName%20pr", None, 400);
    assert!(detail.contains("usrName"), "{detail}");
}

#[test]
fn the_root_is_sorted_over_all_types() {
    let host = some();
    assert_eq!(names(&list(&host, "/?sortBy=displayName")), ["admins", "ann", "bob", "staff"]);
    let descending = list(&host, "/?sortBy=displayName&sortOrder=descending&startIndex=2&count=2");
    assert_eq!(names(&descending), ["bob", "ann"]);
    // Groups have no userName: last in ascending order, first in descending order (§3.4.2.3).
    assert_eq!(names(&list(&host, "/?sortBy=userName")), ["ann", "bob", "staff", "admins"]);
    assert_eq!(names(&list(&host, "/?sortBy=userName&sortOrder=descending")), ["staff", "admins", "bob", "ann"]);
    assert!(refused(&host, "GET", "/?sortBy=usrName", None, 400).contains("usrName"));
}

// RFC 9865

#[test]
fn cursors_go_through_everything() {
    let host = TestHost::default();
    let all: Vec<String> = (0..10).map(|i| format!("u{i}")).collect();
    for name in &all {
        create(&host, name);
    }
    for target in
        ["/Users?count=3", "/Users?count=3&filter=userName%20pr", "/?count=3", "/Users?count=3&sortBy=userName"]
    {
        assert_eq!(traverse(&host, target), (all.clone(), 4), "{target}");
    }
    assert_eq!(traverse(&host, "/Users?count=5"), (all.clone(), 2));
    assert_eq!(traverse(&host, "/Users?x=y"), (all.clone(), 1));
    let descending: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(traverse(&host, "/Users?count=4&sortBy=userName&sortOrder=descending"), (descending, 3));
}

#[test]
fn cursors_cross_from_type_to_type() {
    let host = some();
    for count in 1..5 {
        let target = format!("/?count={count}");
        assert_eq!(traverse(&host, &target).0, ["ann", "bob", "staff", "admins"]);
        assert_eq!(traverse(&host, &format!("{target}&filter=id%20pr")).0, ["ann", "bob", "staff", "admins"]);
        assert_eq!(traverse(&host, &format!("{target}&sortBy=displayName")).0, ["admins", "ann", "bob", "staff"]);
        assert_eq!(traverse(&host, &format!("{target}&sortBy=userName")).0, ["ann", "bob", "staff", "admins"]);
    }
}

#[test]
fn totals_stay_on_every_page() {
    let host = TestHost::default();
    (0..5).for_each(|i| drop(create(&host, &format!("u{i}"))));
    for query in ["count=2", "count=2&filter=userName%20pr", "count=2&sortBy=userName"] {
        let first = list(&host, &format!("/Users?{query}&cursor"));
        let next = first["nextCursor"].as_str().unwrap();
        let second = list(&host, &format!("/Users?{query}&cursor={next}"));
        assert_eq!((&first["totalResults"], &second["totalResults"]), (&json!(5), &json!(5)), "{query}");
    }
    let none = list(&host, "/Users?cursor=&count=0");
    assert_eq!((&none["totalResults"], &none["itemsPerPage"], none.get("nextCursor")), (&json!(5), &json!(0), None));
    assert_eq!(list(&host, "/Users?cursor=&count=-1"), none);
}

#[test]
fn cursors_in_the_body_of_a_search() {
    let host = some();
    let first = search(&host, "/Users/.search", json!({ "cursor": "", "count": 1, "filter": "userName pr" }));
    let cursor = &first["nextCursor"];
    let second = search(&host, "/Users/.search", json!({ "cursor": cursor, "count": 1, "filter": "userName pr" }));
    assert_eq!((names(&first), names(&second)), (vec!["ann".to_owned()], vec!["bob".to_owned()]));
    assert_eq!(second.get("nextCursor"), None);
}

#[test]
fn pages_by_index_carry_no_cursor() {
    let host = some();
    let page = list(&host, "/Users?count=1");
    assert_eq!((&page["startIndex"], page.get("nextCursor")), (&json!(1), None));
}

#[test]
fn a_cursor_holds_for_its_query_only() {
    let host = some();
    create(&host, "carl");
    let first = list(&host, "/Users?count=1&sortBy=userName&cursor");
    let cursor = first["nextCursor"].as_str().unwrap();
    let get = |target: String| send(&host, "GET", &target, &[], None);
    for other in [
        format!("/Users?count=1&cursor={cursor}"),
        format!("/Users?count=1&sortBy=displayName&cursor={cursor}"),
        format!("/Users?count=1&sortBy=userName&sortOrder=descending&cursor={cursor}"),
        format!("/Users?count=1&sortBy=userName&filter=id%20pr&cursor={cursor}"),
        format!("/Groups?count=1&sortBy=userName&cursor={cursor}").replace("sortBy=userName", "sortBy=displayName"),
        format!("/?count=1&sortBy=userName&cursor={cursor}"),
        format!("/Users?count=1&sortBy=userName&cursor={cursor}A"),
        "/Users?count=1&sortBy=userName&cursor=VZUTiyhEQJ94IR".to_owned(),
        "/Users?cursor=%C3%A9".to_owned(),
    ] {
        assert_eq!(scim_type(&get(other.clone())), "invalidCursor", "{other}");
    }
    let count = |count: &str| get(format!("/Users?count={count}&sortBy=userName&cursor={cursor}"));
    assert_eq!(scim_type(&count("2")), "invalidCount");
    assert_eq!(scim_type(&count("1001")), "invalidCount");
    assert_eq!(scim_type(&count("one")), "invalidCount");
    assert_eq!(scim_type(&get("/Users?cursor&count=1001".to_owned())), "invalidCount");
    // What only shapes the page may change, and count may be left out.
    let second = list(&host, &format!("/Users?sortBy=userName&attributes=userName&cursor={cursor}"));
    assert_eq!((names(&second), &second["itemsPerPage"]), (vec!["bob".to_owned()], &json!(1)));
    assert_eq!(scim_type(&get(format!("/Users?count=1&sortBy=userName&startIndex=1&cursor={cursor}"))), "invalidValue");
}

#[test]
fn a_cursor_of_another_tenant_is_invalid() {
    let (one, other) = (some(), some());
    // The fixture's randomness follows its clock: at another time, another key.
    other.clock.set(50_000);
    let cursor = list(&one, "/Users?count=1&cursor")["nextCursor"].as_str().unwrap().to_owned();
    let target = format!("/Users?count=1&cursor={cursor}");
    assert_eq!(scim_type(&send(&other, "GET", &target, &[], None)), "invalidCursor");
    list(&other, "/Users?count=1&cursor");
    assert_eq!(scim_type(&send(&other, "GET", &target, &[], None)), "invalidCursor");
}

#[test]
fn a_cursor_expires() {
    let host = some();
    configure(&host, &json!({ "cursorSeconds": 60 }));
    let cursor = list(&host, "/Users?count=1&cursor")["nextCursor"].as_str().unwrap().to_owned();
    let target = format!("/Users?count=1&cursor={cursor}");
    host.clock.set(host.clock.get() + 59_000);
    assert_eq!(names(&list(&host, &target)), ["bob"]);
    let expired = send(&host, "GET", &target, &[], None);
    assert_eq!(scim_type(&expired), "expiredCursor");
    assert!(body(&expired)["detail"].as_str().unwrap().contains("60 seconds"));
}

#[test]
fn a_traversal_writes_one_key_at_most() {
    let host = TestHost { read_only: true, ..some() };
    let before = host.memory.dump();
    traverse(&host, "/Users?count=1");
    traverse(&host, "/?count=1&sortBy=id");
    let after = host.memory.dump();
    let new: Vec<_> = after.keys().filter(|key| !before.contains_key(*key)).collect();
    assert_eq!((after.len() - before.len(), new), (1, vec![&keys::cursor_key()]));
    assert_eq!(after[&keys::cursor_key()].len(), 32);
}

#[test]
fn the_configuration_tells_of_pages_and_is_obeyed() {
    let host = some();
    let config = list(&host, "/ServiceProviderConfig");
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 1000,
            "cursorTimeout": 3600,
        })
    );
    configure(&host, &json!({ "defaultPageSize": 1, "maxPageSize": 3, "cursorSeconds": 90 }));
    let config = list(&host, "/ServiceProviderConfig");
    assert_eq!(
        (
            &config["pagination"]["defaultPageSize"],
            &config["pagination"]["maxPageSize"],
            &config["filter"]["maxResults"]
        ),
        (&json!(1), &json!(3), &json!(3))
    );
    assert_eq!(config["pagination"]["cursorTimeout"], 90);
    assert_eq!(list(&host, "/")["itemsPerPage"], 1);
    assert_eq!(list(&host, "/?count=100")["itemsPerPage"], 3);
    assert_eq!(list(&host, "/?cursor")["itemsPerPage"], 1);
    assert_eq!(list(&host, "/?cursor&count=3")["itemsPerPage"], 3);
}

// RFC 7644 §3.4.2.3

#[test]
fn sorting_follows_type_case_and_primary() {
    let host = TestHost::default();
    let user = |body: Json| ok(&host, "POST", "/Users", Some(body));
    user(
        json!({ "userName": "delta", "externalId": "a", "active": true, "emails": [{ "value": "z" }, { "value": "B", "primary": true }] }),
    );
    user(
        json!({ "userName": "Alpha", "externalId": "B", "active": false, "emails": [{ "value": "c" }, { "value": "a" }] }),
    );
    user(json!({ "userName": "charlie", "externalId": "A", "name": { "familyName": "Zeta" } }));
    user(json!({ "userName": "émile", "name": { "familyName": "eta" } }));
    let by = |query: &str| names(&list(&host, &format!("/Users?{query}")));
    // Without regard to case, unless the attribute is caseExact.
    assert_eq!(by("sortBy=userName"), ["Alpha", "charlie", "delta", "émile"]);
    assert_eq!(by("sortBy=USERNAME&sortOrder=descending"), ["émile", "delta", "charlie", "Alpha"]);
    assert_eq!(by("sortBy=externalId"), ["charlie", "Alpha", "delta", "émile"]);
    // By the primary value, else the first; a complex attribute by its `value`.
    assert_eq!(by("sortBy=emails"), ["delta", "Alpha", "charlie", "émile"]);
    assert_eq!(by("sortBy=emails.value&sortOrder=descending"), ["charlie", "émile", "Alpha", "delta"]);
    assert_eq!(by("sortBy=name.familyName&sortOrder=ascending"), ["émile", "charlie", "delta", "Alpha"]);
    assert_eq!(by("sortBy=active"), ["Alpha", "delta", "charlie", "émile"]);
    assert_eq!(by("sortBy=meta.created&sortOrder=descending"), ["émile", "charlie", "Alpha", "delta"]);
    assert_eq!(
        by("sortBy=urn:ietf:params:scim:schemas:core:2.0:User:userName"),
        ["Alpha", "charlie", "delta", "émile"]
    );
    // Without sortBy there is nothing for sortOrder to order.
    assert_eq!(by("sortOrder=descending"), ["delta", "Alpha", "charlie", "émile"]);
    for (query, place) in
        [("sortBy=name", "name"), ("sortBy=password", "password"), ("sortBy=userName&sortOrder=up", "sortOrder")]
    {
        assert!(refused(&host, "GET", &format!("/Users?{query}"), None, 400).contains(place));
    }
}

#[test]
fn attributes_that_name_nothing_known_leave_what_is_always_returned() {
    let host = some();
    let page = list(&host, "/?attributes=nothing.known&count=3");
    for resource in page["Resources"].as_array().unwrap() {
        let names: Vec<&String> = resource.as_object().unwrap().keys().collect();
        assert_eq!(names, ["schemas", "id"]);
    }
}

// RFC 7644 §3.11

#[test]
fn me_is_501_until_it_is_set_up() {
    let host = some();
    for method in ["GET", "PUT", "PATCH", "DELETE", "POST"] {
        assert!(refused(&host, method, "/Me", Some(json!({})), 501).contains("meAttribute"));
    }
    let admin = [("authorization", "Bearer admin")];
    let response = send(&host, "PATCH", "/admin/settings", &admin, Some(json!({ "meAttribute": "shoeSize" })));
    assert_eq!(response.status, 400);
}

#[test]
fn me_is_the_user_of_the_subject() {
    let host = some();
    configure(&host, &json!({ "meAttribute": "userName" }));
    assert!(refused(&host, "GET", "/Me", None, 404).contains("\"token-1\""));
    let id = create(&host, "Token-1");
    let location = format!("https://h/scim/v2/Users/{id}");
    let read = send(&host, "GET", "/Me", &[], None);
    assert_eq!((read.status, &body(&read)["id"]), (200, &json!(id)));
    assert_eq!((header(&read, "location"), header(&read, "content-location")), (Some(&*location), Some(&*location)));
    assert_eq!(body(&read)["meta"]["location"], json!(location));
    let version = header(&read, "etag").unwrap();
    let unchanged = send(&host, "GET", "/Me", &[("if-none-match", version)], None);
    assert_eq!((unchanged.status, header(&unchanged, "location")), (304, Some(&*location)));
    let title = |title: &str| Some(patch(&json!({ "op": "add", "path": "title", "value": title })));
    let patched = send(&host, "PATCH", "/Me?attributes=title", &[("if-match", version)], title("Dr"));
    assert_eq!((patched.status, &body(&patched)["title"]), (200, &json!("Dr")));
    let stale = send(&host, "PATCH", "/Me", &[("if-match", version)], title("Prof"));
    assert_eq!((stale.status, header(&stale, "location")), (412, Some(&*location)));
    let replaced = send(&host, "PUT", "/Me", &[], Some(json!({ "userName": "token-1" })));
    assert_eq!((replaced.status, body(&replaced).get("title")), (200, None));
    assert_eq!(
        header(&send(&host, "POST", "/Me", &[], Some(json!({}))), "allow"),
        Some("GET, HEAD, PUT, PATCH, DELETE, OPTIONS")
    );
    let deleted = send(&host, "DELETE", "/Me", &[], None);
    assert_eq!((deleted.status, header(&deleted, "location")), (204, Some(&*location)));
    refused(&host, "GET", "/Me", None, 404);
}

#[test]
fn me_by_other_attributes() {
    let host = some();
    configure(&host, &json!({ "meAttribute": "externalId" }));
    let user = |name: &str| ok(&host, "POST", "/Users", Some(json!({ "userName": name, "externalId": "token-1" })));
    let mine = user("carl");
    assert_eq!(list(&host, "/Me"), mine);
    user("dora");
    assert!(refused(&host, "GET", "/Me", None, 404).contains("More than one"));
    configure(&host, &json!({ "meAttribute": "id" }));
    refused(&host, "GET", "/Me", None, 404);
}

#[test]
fn me_needs_the_permissions_that_the_user_needs() {
    let host = some();
    configure(&host, &json!({ "meAttribute": "userName" }));
    create(&host, "token-1");
    let host = TestHost { read_only: true, ..host };
    list(&host, "/Me");
    assert!(refused(&host, "DELETE", "/Me", None, 403).contains("`write`"));
}

// RFC 9110 §9.3.2, §9.3.7

#[test]
fn head_is_get_without_content() {
    let host = some();
    let id = create(&host, "carl");
    for target in [
        "/Users",
        "/",
        "/?filter=bad",
        &format!("/Users/{id}"),
        "/Users/none",
        "/ServiceProviderConfig",
        "/Me",
        "/Users/.search",
    ] {
        let (get, head) = (send(&host, "GET", target, &[], None), send(&host, "HEAD", target, &[], None));
        assert_eq!((head.status, head.headers, head.body), (get.status, get.headers, Vec::new()), "{target}");
    }
}

#[test]
fn options_and_405_tell_what_a_place_takes() {
    let host = some();
    for (target, allow, wrong) in [
        ("/", "GET, HEAD, OPTIONS", "POST"),
        ("/.search", "POST, OPTIONS", "GET"),
        ("/Users", "GET, HEAD, POST, OPTIONS", "DELETE"),
        ("/Users/.search", "POST, OPTIONS", "PUT"),
        ("/Groups/1", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "POST"),
        ("/Me", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "TRACE"),
        ("/ServiceProviderConfig", "GET, HEAD, OPTIONS", "PUT"),
        ("/ResourceTypes/User", "GET, HEAD, OPTIONS", "DELETE"),
        ("/Schemas", "GET, HEAD, OPTIONS", "POST"),
    ] {
        let options = send(&host, "OPTIONS", target, &[], None);
        assert_eq!((options.status, header(&options, "allow"), options.body.len()), (204, Some(allow), 0), "{target}");
        let refused = send(&host, wrong, target, &[], None);
        assert_eq!((refused.status, header(&refused, "allow")), (405, Some(allow)), "{wrong} {target}");
    }
    assert_eq!(send(&host, "OPTIONS", "/Devices", &[], None).status, 404);
    assert_eq!(send(&host, "OPTIONS", "/Users", &[("authorization", "Bearer wrong")], None).status, 401);
}

// RFC 7644 §3.14, RFC 9110 §13

#[test]
fn preconditions() {
    let host = TestHost::default();
    let id = create(&host, "ann");
    let path = format!("/Users/{id}");
    let user = Some(json!({ "userName": "ann" }));
    let version = header(&send(&host, "GET", &path, &[], None), "etag").unwrap().to_owned();
    let status = |method: &str, name: &str, value: &str, body: Option<Json>| {
        let response = send(&host, method, &path, &[(name, value)], body);
        assert!(response.status == 304 || response.status < 300 || body_status(&response) == response.status);
        response.status
    };
    assert_eq!(status("GET", "if-none-match", "*", None), 304);
    assert_eq!(status("HEAD", "if-none-match", &version, None), 304);
    assert_eq!(status("GET", "if-none-match", "W/\"9.9\"", None), 200);
    assert_eq!(status("GET", "if-match", &version, None), 200);
    assert_eq!(status("GET", "if-match", "W/\"9.9\"", None), 412);
    assert_eq!(status("PUT", "if-none-match", "*", user.clone()), 412);
    assert_eq!(status("PUT", "if-none-match", &version, user.clone()), 412);
    assert_eq!(status("PUT", "if-none-match", "W/\"9.9\"", user), 200);
    let nothing = Some(patch(&json!({ "op": "replace", "path": "userName", "value": "ann" })));
    assert_eq!(status("PATCH", "if-none-match", "*", nothing), 412);
    assert_eq!(status("DELETE", "if-none-match", "*", None), 412);
    assert_eq!(status("DELETE", "if-none-match", "W/\"9.9\"", None), 204);
    assert_eq!(status("DELETE", "if-none-match", "*", None), 404);
}

fn body_status(response: &Response) -> u16 {
    body(response)["status"].as_str().and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn content_location_tells_a_resources_own_url() {
    let host = TestHost::default();
    let id = create(&host, "ann");
    let location = format!("https://h/scim/v2/Users/{id}");
    let of = |target: String, headers: &[(&str, &str)]| {
        header(&send(&host, "GET", &target, headers, None), "content-location").map(str::to_owned)
    };
    assert_eq!(of(format!("/Users/{id}"), &[]), None);
    assert_eq!(of(format!("/Users/{id}?attributes=userName"), &[]), None);
    assert_eq!(of(format!("/users/{id}"), &[]), Some(location.clone()));
    assert_eq!(of(format!("/Users/{id}/"), &[("if-none-match", "*")]), Some(location));
}

// RFC 7240

#[test]
fn a_patch_answers_as_preferred() {
    let host = TestHost::default();
    let path = format!("/Users/{}", create(&host, "ann"));
    let answer = |target: &str, prefer: &str| {
        let body = Some(patch(&json!({ "op": "replace", "path": "title", "value": "Dr" })));
        let response = send(&host, "PATCH", target, &[("prefer", prefer)], body);
        assert!(header(&response, "etag").is_some());
        assert_eq!(response.body.is_empty(), response.status == 204);
        (response.status, header(&response, "preference-applied").map(str::to_owned))
    };
    let applied = |what: &str| Some(format!("return={what}"));
    let asking = format!("{path}?attributes=title");
    assert_eq!(answer(&path, ""), (200, None));
    assert_eq!(answer(&path, "return=minimal"), (204, applied("minimal")));
    assert_eq!(answer(&path, "return=representation"), (200, applied("representation")));
    assert_eq!(answer(&asking, "return=minimal"), (200, None));
    configure(&host, &json!({ "patchReply": "no-content" }));
    assert_eq!(answer(&path, "respond-async"), (204, None));
    assert_eq!(answer(&path, "return=representation"), (200, applied("representation")));
    assert_eq!(answer(&asking, ""), (200, None));
}

#[test]
fn a_large_group_is_shown_to_who_prefers_it() {
    let host = TestHost::default();
    let users: Vec<String> = (0..120).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users.iter().map(String::as_str).collect();
    let path = format!("/Groups/{}", group(&host, "staff", &ids));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(add(ids[0]))).status, 204);
    let shown = send(&host, "PATCH", &path, &[("prefer", "return=representation")], Some(add(ids[0])));
    assert_eq!((shown.status, body(&shown)["members"].as_array().unwrap().len()), (200, 120));
}

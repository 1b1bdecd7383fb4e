//! Laws of Bulk: it equals its operations one by one, all or nothing leaves all or nothing, a dry run leaves nothing, and
//! circles of every shape close.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scimwell_guest::http::Response;
use serde_json::json;

mod common;

use common::{Json, TestHost, log, ok, patch, send, values};

/// One operation; numbers are those of POSTs before it.
#[derive(Clone, Debug)]
enum Step {
    User(&'static str),
    Group(&'static str, Vec<usize>),
    Rename(usize, &'static str),
    Title(usize, Option<&'static str>),
    Join(usize, usize),
    Leave(usize, usize),
    Stranger(usize),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(vec!["a", "b", "c", "d"]);
    let number = || 0..8_usize;
    let version = proptest::option::of(select(vec!["W/\"1.0\"", "W/\"1.1\"", "W/\"2.0\""]));
    prop_oneof![
        3 => name().prop_map(Step::User),
        3 => (name(), vec(number(), 0..3)).prop_map(|(name, members)| Step::Group(name, members)),
        1 => (number(), name()).prop_map(|(user, name)| Step::Rename(user, name)),
        1 => (number(), version).prop_map(|(user, version)| Step::Title(user, version)),
        2 => (number(), number()).prop_map(|(group, member)| Step::Join(group, member)),
        1 => (number(), number()).prop_map(|(group, member)| Step::Leave(group, member)),
        1 => number().prop_map(Step::Stranger),
        1 => number().prop_map(Step::Delete),
    ]
}

/// Operations, with `bulkId:n` for the n-th POST.
fn operations(steps: &[Step]) -> Vec<Json> {
    let mut posts: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for step in steps {
        let reference = |number: &usize| format!("bulkId:{}", number % posts.len().max(1));
        let path = |number: &usize| match posts.is_empty() {
            true => "/Users/none".to_owned(),
            false => format!("/{}/{}", posts[number % posts.len()], reference(number)),
        };
        let number = posts.len().to_string();
        let change = |target: &usize, operation: &Json| json!({ "method": "PATCH", "path": path(target), "data": patch(operation) });
        all.push(match step {
            Step::User(name) => {
                posts.push("Users");
                json!({ "method": "POST", "path": "/Users", "bulkId": number, "data": { "userName": name } })
            }
            Step::Group(name, members) => {
                let known = members.iter().filter(|_| !posts.is_empty());
                let members: Vec<Json> = known.map(|member| json!({ "value": reference(member) })).collect();
                posts.push("Groups");
                let data = json!({ "displayName": name, "members": members });
                json!({ "method": "POST", "path": "/Groups", "bulkId": number, "data": data })
            }
            Step::Rename(user, name) => {
                json!({ "method": "PUT", "path": path(user), "data": { "userName": name, "displayName": name } })
            }
            Step::Title(user, version) => {
                let mut operation = change(user, &json!({ "op": "add", "path": "title", "value": "Dr" }));
                operation["version"] = json!(version);
                operation
            }
            Step::Join(group, member) => {
                let member = json!([{ "value": if posts.is_empty() { "none".into() } else { reference(member) } }]);
                change(group, &json!({ "op": "add", "path": "members", "value": member }))
            }
            Step::Leave(group, member) => {
                let member = if posts.is_empty() { "none".into() } else { reference(member) };
                change(group, &json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }))
            }
            Step::Stranger(group) => {
                change(group, &json!({ "op": "add", "path": "members", "value": [{ "value": "stranger" }] }))
            }
            Step::Delete(target) => json!({ "method": "DELETE", "path": path(target) }),
        });
    }
    all
}

fn bulk(host: &TestHost, operations: &[Json], headers: &[(&str, &str)]) -> Response {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    send(host, "POST", "/Bulk", headers, Some(json!({ "schemas": schemas, "Operations": operations })))
}

/// What became of each operation: status and version.
type Outcomes = Vec<(String, Json)>;

/// Ids by what stands for them in comparisons.
type Names = BTreeMap<String, String>;

fn outcomes(response: &Response) -> (Outcomes, Names) {
    let body: Json = serde_json::from_slice(&response.body).unwrap();
    let operations = body["Operations"].as_array().unwrap_or_else(|| panic!("{body}")).clone();
    let outcome = |o: &Json| (o["status"].as_str().unwrap().to_owned(), o["version"].clone());
    let created = operations.iter().filter(|o| o["method"] == "POST" && o["status"] == "201");
    let name = |o: &Json| {
        let id = o["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (id, format!("<{}>", o["bulkId"].as_str().unwrap()))
    };
    (operations.iter().map(outcome).collect(), created.map(name).collect())
}

/// The operations, each a request of its own.
fn one_by_one(host: &TestHost, operations: &[Json]) -> (Outcomes, Names) {
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut outcomes = Outcomes::new();
    for operation in operations {
        let mut text = operation.to_string();
        for (reference, id) in &ids {
            text = text.replace(&format!("bulkId:{reference}"), id);
        }
        if text.contains("bulkId:") {
            // 409, or what else is wrong with it.
            outcomes.push(("4xx".to_owned(), Json::Null));
            continue;
        }
        let operation: Json = serde_json::from_str(&text).unwrap();
        let (method, path) = (operation["method"].as_str().unwrap(), operation["path"].as_str().unwrap());
        let version = operation["version"].as_str();
        let headers: Vec<(&str, &str)> = version.iter().map(|version| ("if-match", *version)).collect();
        let response = send(host, method, path, &headers, operation.get("data").cloned());
        let body: Json = serde_json::from_slice(&response.body).unwrap_or(Json::Null);
        outcomes.push((response.status.to_string(), body["meta"]["version"].clone()));
        if let (201, Some(bulk_id)) = (response.status, operation["bulkId"].as_str()) {
            ids.insert(bulk_id.to_owned(), body["id"].as_str().unwrap().to_owned());
        }
    }
    (outcomes, ids.into_iter().map(|(bulk_id, id)| (id, format!("<{bulk_id}>"))).collect())
}

/// Everything that can be seen, and which keys there are, with ids by their names and without times and kept answers.
fn state(host: &TestHost, names: &Names) -> (Vec<String>, Vec<String>, Vec<String>) {
    let rename = |mut text: String| {
        for (id, name) in names {
            text = text.replace(id, name);
        }
        text
    };
    let mut seen = Vec::new();
    for list in ["/Users?count=1000", "/Groups?count=1000"] {
        let mut list = ok(host, "GET", list, None);
        for resource in list["Resources"].as_array_mut().unwrap() {
            resource["meta"].as_object_mut().unwrap().retain(|key, _| key == "version");
            seen.push(rename(resource.to_string()));
        }
    }
    let mut told = log(host);
    for record in &mut told {
        record.time = 0;
    }
    let told = told.iter().map(|record| rename(json!(record).to_string())).collect();
    // Neither what belongs to requests, nor what is in the order of times.
    let timed =
        |key: &[u8]| matches!(key[0], b'l' | b'k' | b'y' | b's' | b'b') || key.starts_with(b"iUser\0meta.lastModified");
    let kept = common::kept(host).into_keys().filter(|key| !timed(key));
    let mut keys: Vec<String> = kept.map(|key| rename(String::from_utf8_lossy(&key).into_owned())).collect();
    keys.sort();
    (seen, told, keys)
}

proptest! {
    #[test]
    fn bulk_equals_its_operations_one_by_one(steps in vec(step(), 0..14), keyed in any::<bool>()) {
        let operations = operations(&steps);
        let (alone, together) = (TestHost::default(), TestHost::default());
        let (expect, expect_names) = one_by_one(&alone, &operations);
        let headers: &[(&str, &str)] = if keyed { &[("idempotency-key", "k")] } else { &[] };
        let (mut found, names) = outcomes(&bulk(&together, &operations, headers));
        for (found, _) in found.iter_mut().zip(&expect).filter(|(_, expect)| expect.0 == "4xx") {
            prop_assert!(found.0.starts_with('4'));
            "4xx".clone_into(&mut found.0);
        }
        prop_assert_eq!(found, expect);
        prop_assert_eq!(state(&together, &names), state(&alone, &expect_names));
    }

    #[test]
    fn a_dry_run_tells_what_would_be_and_does_nothing(before in vec(step(), 0..8), steps in vec(step(), 0..14)) {
        let host = TestHost::default();
        bulk(&host, &operations(&before), &[]);
        let operations = operations(&steps);
        let stored = common::kept(&host);
        let (rehearsed, _) = outcomes(&bulk(&host, &operations, &[("scimwell-dry-run", "true")]));
        prop_assert_eq!(common::kept(&host), stored);
        let (real, _) = outcomes(&bulk(&host, &operations, &[]));
        prop_assert_eq!(rehearsed, real);
    }

    #[test]
    fn all_or_nothing(before in vec(step(), 0..8), steps in vec(step(), 0..8)) {
        let host = TestHost::default();
        bulk(&host, &operations(&before), &[]);
        let operations = operations(&steps);
        let stored = common::kept(&host);
        let (expect, _) = outcomes(&bulk(&host, &operations, &[("scimwell-dry-run", "true")]));
        let response = bulk(&host, &operations, &[("prefer", "handling=atomic")]);
        match expect.iter().position(|(status, _)| status.as_str() >= "300") {
            Some(failed) => {
                prop_assert_eq!(&response.status.to_string(), &expect[failed].0);
                let error: Json = serde_json::from_slice(&response.body).unwrap();
                let place = format!("Operations[{failed}]: ");
                prop_assert!(error["detail"].as_str().unwrap().starts_with(&place), "{} {}", place, error);
                prop_assert_eq!(common::kept(&host), stored);
            }
            None => {
                prop_assert_eq!(response.status, 200);
                prop_assert_eq!(outcomes(&response).0, expect);
            }
        }
    }

    #[test]
    fn circles_of_every_shape_close(
        shape in (1..10_usize).prop_flat_map(|size| vec(vec(0..size, 0..4), size)),
        one_commit in any::<bool>(),
    ) {
        let members = |group: usize| {
            let mut members: Vec<usize> = shape[group].iter().copied().filter(|member| *member != group).collect();
            members.sort_unstable();
            members.dedup();
            members
        };
        let operations: Vec<Json> = (0..shape.len()).map(|group| {
            let members: Vec<Json> =
                members(group).iter().map(|member| json!({ "value": format!("bulkId:{member}") })).collect();
            let data = json!({ "displayName": group.to_string(), "members": members });
            json!({ "method": "POST", "path": "/Groups", "bulkId": group.to_string(), "data": data })
        }).collect();
        let host = TestHost::default();
        let headers: &[(&str, &str)] = if one_commit { &[("prefer", "handling=atomic")] } else { &[] };
        let (found, names) = outcomes(&bulk(&host, &operations, headers));
        prop_assert!(found.iter().all(|(status, _)| status == "201"));
        for (id, name) in &names {
            let group = ok(&host, "GET", &format!("/Groups/{id}"), None);
            let number: usize = group["displayName"].as_str().unwrap().parse().unwrap();
            prop_assert_eq!(name, &format!("<{number}>"));
            let found: Vec<&str> = values(&group, "members").iter().map(|id| names[id].as_str()).collect();
            let expect: Vec<String> = members(number).iter().map(|member| format!("<{member}>")).collect();
            prop_assert_eq!(found, expect);
        }
    }
}

//! `/admin/explain`: what is told of a search is what the search does.

mod common;

use common::{Json, TestHost, create, group, ok, send};
use serde_json::json;

fn explain(host: &TestHost, query: &str) -> Json {
    let admin = [("authorization", "Bearer admin")];
    let response = send(host, "GET", &format!("/admin/explain?{query}"), &admin, None);
    let body: Json = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status, 200, "{body}");
    body
}

fn some() -> TestHost {
    let host = TestHost::default();
    for i in 0..30 {
        create(&host, &format!("u{i:02}"));
    }
    host
}

#[test]
fn a_filter_is_told_with_its_way() {
    let host = some();
    let found = explain(&host, "filter=USERNAME+eq+%22U07%22+and+title+pr");
    assert_eq!(found["filter"], "userName eq \"u07\" and title pr");
    assert_eq!(found["plan"]["access"], json!(["the holder of userName \"u07\""]));
    assert_eq!(found["plan"]["tested"], json!(["title pr"]));
    assert_eq!((&found["cost"]["documentsTested"], &found["cost"]["matches"]), (&json!(1), &json!(0)));

    let found = explain(&host, "filter=userName+ge+%22u05%22+and+userName+lt+%22u09%22");
    assert_eq!(
        found["plan"],
        json!({ "access": ["the index of userName, from \"u05\" to below \"u09\""], "order": "creation" })
    );
    assert_eq!((&found["cost"]["documentsTested"], &found["cost"]["matches"]), (&json!(0), &json!(4)));
    assert_eq!(found["ways"].as_array().unwrap().len(), 3);
}

#[test]
fn what_no_index_answers_is_told_with_what_would_help() {
    let host = some();
    let found = explain(&host, "filter=nickName+co+%22x%22");
    assert_eq!(found["plan"]["access"], json!(["every document"]));
    assert_eq!(found["cost"]["documentsTested"], 30);
    let advice = found["plan"]["advice"].as_str().unwrap();
    assert!(advice.contains("`nickName co \"x\"`") && advice.contains("externalId"), "{advice}");
}

#[test]
fn an_order_is_told_by_its_source() {
    let host = some();
    let found = explain(&host, "sortBy=userName&sortOrder=descending&count=5");
    assert_eq!(found["plan"]["order"], "of the index of userName");
    assert_eq!((&found["cost"]["shown"], &found["cost"]["matches"]), (&json!(5), &json!(30)));
    let found = explain(&host, "sortBy=title");
    assert_eq!((&found["plan"]["order"], &found["cost"]["documentsTested"]), (&json!("sorted in memory"), &json!(30)));
    let found = explain(&host, "sortBy=userName&filter=userName+sw+%22u1%22");
    assert_eq!(found["plan"]["access"], json!(["the index of userName, starting with \"u1\""]));
}

#[test]
fn other_types_are_explained_by_name() {
    let host = some();
    let ann = create(&host, "ann");
    group(&host, "staff", &[&ann]);
    let found = explain(&host, &format!("resourceType=group&filter=members+eq+%22{ann}%22"));
    assert_eq!(found["plan"]["access"], json!([format!("what \"{ann}\" is a member of")]));
    assert_eq!(found["cost"]["matches"], 1);
    let admin = [("authorization", "Bearer admin")];
    let refused = send(&host, "GET", "/admin/explain?resourceType=Grop", &admin, None);
    assert_eq!(refused.status, 400);
    assert_eq!(send(&host, "POST", "/admin/explain", &admin, None).status, 405);
    assert_eq!(send(&host, "GET", "/admin/explain", &[], None).status, 403);
    ok(&host, "GET", "/Users?count=1", None);
}

//! Whatever a client sends, the answer is a SCIM Error with the RFC's keys, nothing is stored, and the server lives on.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use scimwell_tests::client::{Client, Request, Response};
use scimwell_tests::server::{Server, TOKEN, in_default};
use serde_json::json;

/// Bytes of a body that the server under test takes.
const BODY_LIMIT: usize = 64 * 1024;

fn server() -> Server {
    Server::start(&["--dev", "--body-limit", &BODY_LIMIT.to_string()])
}

/// Send, and expect a SCIM Error of this status and kind whose detail contains `hint`.
#[track_caller]
fn check(client: &mut Client, request: &Request, status: u16, kind: Option<&str>, hint: &str) {
    let response = client.send(request).unwrap_or_else(|e| panic!("{} {}: {e}", request.method, request.target));
    check_error(&response, status, kind, hint);
}

#[track_caller]
fn check_error(response: &Response, status: u16, kind: Option<&str>, hint: &str) {
    let body = response.json();
    assert_eq!(response.status, status, "{response}");
    assert_eq!(response.header("content-type"), Some("application/scim+json"), "{response}");
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{response}");
    assert_eq!(body["status"], json!(status.to_string()), "{response}");
    assert_eq!(body.get("scimType").and_then(|kind| kind.as_str()), kind, "{response}");
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(hint), "the detail should say {hint:?}: {response}");
    let keys = body.as_object().expect("an object").keys();
    let foreign: Vec<&String> =
        keys.filter(|key| !["schemas", "status", "scimType", "detail"].contains(&key.as_str())).collect();
    assert!(foreign.is_empty(), "keys beside RFC 7644 §3.12: {foreign:?}");
}

fn post(body: &[u8]) -> Request {
    Request { body: body.to_vec(), ..in_default("POST", "/Users") }.header("Content-Type", "application/scim+json")
}

#[test]
fn bodies() {
    let server = server();
    let c = &mut server.client();
    let syntax = Some("invalidSyntax");
    check(c, &post(b"{\"userName\": \"a\""), 400, syntax, "line 1");
    check(c, &post(b"not json"), 400, syntax, "line 1");
    check(c, &post(b""), 400, syntax, "body");
    check(c, &post(b"[]"), 400, syntax, "object");
    check(c, &post(b"null"), 400, syntax, "object");
    check(c, &post(b"{\"userName\": \"\xff\xfe\"}"), 400, syntax, "UTF-8");
    check(c, &post(b"\xff\xfe{\x00}\x00"), 400, syntax, "UTF-8");
    check(c, &post("[".repeat(60_000).as_bytes()), 400, syntax, "deep");
    check(c, &post(format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000)).as_bytes()), 400, syntax, "deep");
    check(c, &post(b"{\"userName\": 5}"), 400, Some("invalidValue"), "userName");
    check(c, &post(b"{\"userName\": \"n\", \"name\": 5}"), 400, Some("invalidValue"), "name");
    check(c, &post(b"{\"displayName\": \"x\"}"), 400, Some("invalidValue"), "userName");
    check(c, &post(b"{\"userName\": \"n\", \"active\": 1e999}"), 400, Some("invalidValue"), "number");
    check(
        c,
        &post(format!("{{\"userName\": \"{}\"}}", "x".repeat(600)).as_bytes()),
        400,
        Some("invalidValue"),
        "userName",
    );
    nothing_stored(c);
}

#[test]
fn credentials() {
    let server = server();
    let c = &mut server.client();
    let get = || Request::new("GET", "/scim/v2/Users");
    for (request, why) in [
        (get(), "no credentials"),
        (get().header("Authorization", ""), "empty"),
        (get().bearer("wrong"), "wrong token"),
        (get().bearer(&TOKEN[..TOKEN.len() - 1]), "a prefix of the token"),
        (get().header("Authorization", TOKEN), "no scheme"),
        (get().header("Authorization", "Basic YTpi"), "another scheme"),
    ] {
        let response = c.send(&request).expect("the server answers");
        check_error(&response, 401, None, "oken");
        // RFC 9110 §11.6.1: a 401 says how to authenticate.
        let challenge = response.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer"), "{why}: {challenge:?}");
    }
    // The scheme's name ignores case (RFC 9110 §11.1).
    let lower = c.send(&get().header("Authorization", format!("bearer {TOKEN}"))).expect("the server answers");
    assert_eq!(lower.status, 200, "{lower}");
}

#[test]
fn routes_and_methods() {
    let server = server();
    let c = &mut server.client();
    check(c, &in_default("GET", "/Nothing"), 404, None, "/Users");
    check(c, &in_default("GET", "/Users/none"), 404, None, "none");
    check(c, &in_default("GET", "/Users/a/b/c"), 404, None, "");
    check(c, &Request::new("GET", "/elsewhere").bearer(TOKEN), 404, None, "");
    check(c, &in_default("DELETE", "/Users"), 405, None, "GET, HEAD, POST");
    check(c, &in_default("BREW", "/Users"), 405, None, "BREW");
    check(c, &in_default("POST", "/Schemas"), 405, None, "GET");
    let not_allowed = c.send(&in_default("DELETE", "/Users")).expect("the server answers");
    assert_eq!(not_allowed.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
    let text = post(b"{\"userName\":\"a\"}");
    let text = Request { headers: vec![], ..text }.bearer(TOKEN).header("Content-Type", "text/plain");
    check(c, &text, 415, None, "application/scim+json");
    nothing_stored(c);
}

#[test]
fn queries() {
    let server = server();
    let c = &mut server.client();
    let filter = Some("invalidFilter");
    check(c, &in_default("GET", "/Users?filter=userName%20eqq%20%22a%22"), 400, filter, "eq");
    check(c, &in_default("GET", "/Users?filter=userName%20eq%20%22a"), 400, filter, "");
    check(c, &in_default("GET", "/Users?filter=active%20gt%20true"), 400, filter, "active");
    check(c, &in_default("GET", &format!("/Users?filter={}", "(".repeat(5_000))), 400, filter, "");
    check(c, &in_default("GET", &format!("/Users?filter={}title%20pr", "not%20(".repeat(2_000))), 400, filter, "");
    check(c, &in_default("GET", "/Users?filter=userName%20eq%20%22%ff%22"), 400, Some("invalidValue"), "UTF-8");
    check(c, &in_default("GET", "/Users?sortBy=title&sortOrder=sideways"), 400, Some("invalidValue"), "sideways");
    // Negative paging is no error (RFC 7644 §3.4.2.4).
    let page = c.send(&in_default("GET", "/Users?startIndex=-5&count=-1")).expect("the server answers");
    assert_eq!((page.status, &page.json()["totalResults"], &page.json()["startIndex"]), (200, &json!(0), &json!(1)));
}

#[test]
fn oversized() {
    let server = server();
    let head = |length: &str| {
        format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: \
             application/scim+json\r\n{length}\r\n\r\n"
        )
    };
    // Declared: refused before the body is sent.
    let declared = server.client().send_bytes(head("Content-Length: 99999999").as_bytes(), false);
    check_error(&declared.expect("the server answers"), 413, None, &BODY_LIMIT.to_string());
    // Not declared: refused where the limit is passed.
    let mut chunked = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..=BODY_LIMIT / 4096 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 4096]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let undeclared = server.client().send_bytes(&chunked, false);
    check_error(&undeclared.expect("the server answers"), 413, None, &BODY_LIMIT.to_string());
    // At the limit it is taken: the document is what is wrong with this one.
    let mut full = vec![b' '; BODY_LIMIT];
    full[..2].copy_from_slice(b"{}");
    check(&mut server.client(), &post(&full), 400, Some("invalidValue"), "userName");
    nothing_stored(&mut server.client());
}

#[test]
fn what_is_no_http_ends_its_connection_only() {
    let server = server();
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time-out can be set");
    stream.write_all(b"\x16\x03\x01\x02\x00hello\r\n\r\n").expect("the server reads");
    let mut rest = Vec::new();
    // The answer to this is not ours to choose; that the connection ends is.
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    let mut half = TcpStream::connect(server.address()).expect("the server listens");
    half.write_all(b"POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"userName\"")
        .expect("reads");
    drop(half);
    nothing_stored(&mut server.client());
}

#[track_caller]
fn nothing_stored(client: &mut Client) {
    let response = client.send(&in_default("GET", "/Users?count=0")).expect("the server lives");
    assert_eq!((response.status, &response.json()["totalResults"]), (200, &json!(0)), "{response}");
}

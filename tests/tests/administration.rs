//! Tenants and tokens, from the command line and a server's administration to the SCIM requests that they let in.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use scimwell_tests::client::Request;
use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::{Server, TOKEN, binary};
use serde_json::{Value, json};

/// Runs an administration command on this data; returns what it prints as JSON.
#[track_caller]
fn scimwell(data: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary()).args(arguments).arg("--json").arg("--data").arg(data).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn token_of(issued: &Value) -> String {
    issued["token"].as_str().expect("an issued token").to_owned()
}

#[track_caller]
fn check(server: &Server, path: &str, token: &str, status: u16, holds: &str) {
    let response = server.client().send(&Request::new("GET", path).bearer(token)).unwrap();
    assert_eq!(response.status, status, "{path}: {response}");
    assert!(response.to_string().contains(holds), "{path}: {response}");
    if status >= 400 {
        assert_eq!(response.json()["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    }
}

#[test]
fn tokens_let_into_their_tenant_until_revoked() {
    let directory = DataDirectory::new("administration");
    let data = directory.path();
    scimwell(data, &["tenant", "create", "acme"]);
    scimwell(data, &["tenant", "create", "beta"]);
    let acme = scimwell(data, &["token", "create", "--tenant", "acme"]);
    let reader = scimwell(data, &["token", "create", "--tenant", "beta", "--permissions", "read"]);
    let server = Server::with_data(data);

    let (acme_token, reader_token) = (token_of(&acme), token_of(&reader));
    let create = Request::new("POST", "/scim/v2/Users").json(&json!({ "userName": "ann@acme.example" }));
    assert_eq!(server.client().send(&create.clone().bearer(&acme_token)).unwrap().status, 201);
    check(&server, "/scim/v2/Users", &acme_token, 200, "ann@acme.example");
    check(&server, "/t/acme/scim/v2/Users", &acme_token, 200, "ann@acme.example");
    // A token of another tenant is refused, and nothing of another tenant is seen.
    check(&server, "/t/beta/scim/v2/Users", &acme_token, 403, "another tenant");
    check(&server, "/t/acme/scim/v2/Users", &reader_token, 403, "another tenant");
    check(&server, "/t/nobody/scim/v2/Users", &acme_token, 403, "another tenant");
    check(&server, "/scim/v2/Users", &reader_token, 200, "\"totalResults\":0");
    let refused = server.client().send(&create.bearer(&reader_token)).unwrap();
    assert_eq!(refused.status, 403, "{refused}");
    check(&server, "/admin/tokens", &acme_token, 403, "`admin`");

    // Revoked while the server runs: the next request is refused.
    let path = format!("/admin/tokens/{}", acme["id"].as_str().unwrap());
    assert_eq!(server.client().send(&Request::new("DELETE", path).bearer(TOKEN)).unwrap().status, 204);
    check(&server, "/scim/v2/Users", &acme_token, 401, "revoked");
    check(&server, "/t/acme/scim/v2/Users", &acme_token, 401, "revoked");
    check(&server, "/scim/v2/Users", &reader_token, 200, "");
}

#[test]
fn expired_tokens_are_refused() {
    let server = Server::dev();
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3);
    let expires = scimwell_guest::datetime::format(u64::try_from(soon.as_millis()).unwrap());
    let request = Request::new("POST", "/admin/tokens").bearer(TOKEN).json(&json!({ "expires": expires }));
    let issued = server.client().send(&request).unwrap();
    assert_eq!(issued.status, 201, "{issued}");
    let token = token_of(&issued.json());
    check(&server, "/scim/v2/Users", &token, 200, "");
    let started = Instant::now();
    let list = Request::new("GET", "/scim/v2/Users").bearer(&token);
    while server.client().send(&list).unwrap().status != 401 {
        assert!(started.elapsed() < Duration::from_secs(30), "the token outlives its expiry");
        std::thread::sleep(Duration::from_millis(50));
    }
    check(&server, "/scim/v2/Users", &token, 401, "expired");
    check(&server, "/admin/tokens", &token, 401, "expired");
}

//! The administration, by command line and over HTTP, as processes of their own. The component is one that answers with
//! what it was sent: what the real one makes of it, the workspace's black-box tests see.
#![cfg(all(feature = "server", feature = "redb", unix))]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

/// A data directory, and the component beside it.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let component = wat::parse_str(include_str!("guest.wat")).unwrap();
        std::fs::write(directory.path().join("guest.wasm"), component).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// The binary with these arguments, on this site's data and component.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scimwell"));
        command
            .args(arguments)
            .args(["--data", &self.path("data"), "--component", &self.path("guest.wasm")])
            .env_remove("RUST_LOG")
            .current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {err}");
        out
    }

    /// Likewise, as JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let out = self.says(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{out}: {error}"))
    }

    /// What a command says that ends with this code.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        assert_eq!(out, "", "{arguments:?}");
        err
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Server { process, url }
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A running server; killed when dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// One exchange: the status, the head and the body.
    fn send(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String, Value) {
        let address = self.url.split_once("://").unwrap().1;
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    #[track_caller]
    fn check(&self, method: &str, path: &str, token: &str, body: &str, status: u16, holds: &str) {
        let (found, _, answer) = self.send(method, path, token, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(answer.to_string().contains(holds), "{method} {path}: {answer}");
        if status >= 400 {
            assert_eq!(answer["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
            assert_eq!(answer["status"], status.to_string());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[track_caller]
fn check_text(text: &str, holds: &[&str]) {
    for part in holds {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn tenants() {
    let site = Site::new();
    check_text(&site.says(&["tenant", "create", "acme", "--display-name", "Acme Inc."]), &["/t/acme/scim/v2"]);
    check_text(&site.fails(1, &["tenant", "create", "acme"]), &["acme", "already"]);
    check_text(&site.fails(1, &["tenant", "create", "a/b"]), &["a/b", "letter or digit"]);
    let list = site.says(&["tenant", "list"]);
    let lines: Vec<_> = list.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(lines, ["NAME", "acme", "default"], "{list}");
    assert_eq!(site.json(&["tenant", "list"])["tenants"][0]["displayName"], "Acme Inc.");

    assert_eq!(site.json(&["tenant", "set", "acme", "displayName=ACME"]), json!({ "displayName": "ACME" }));
    // The component answers with what it was sent: the settings arrive with their types.
    let sent = site.json(&["tenant", "set", "acme", "passwords=true", "maxPageSize=50", "patchReply=no-content"]);
    assert_eq!(sent, json!({ "passwords": true, "maxPageSize": 50, "patchReply": "no-content" }));
    check_text(&site.says(&["tenant", "show", "acme"]), &["displayName  ACME", "settings"]);
    check_text(&site.fails(1, &["tenant", "show", "nobody"]), &["nobody"]);
    check_text(&site.fails(1, &["tenant", "set", "nobody", "passwords=true"]), &["nobody"]);
    check_text(&site.fails(1, &["tenant", "set", "acme", "passwords"]), &["KEY=VALUE"]);
}

#[test]
fn tokens() {
    let site = Site::new();
    let okta = site.json(&["token", "create", "--label", "Okta"]);
    assert!(okta["token"].as_str().unwrap().starts_with("scimwell_"));
    assert_eq!(okta["tenant"], "default");
    assert_eq!(okta["permissions"], json!(["read", "write"]));
    // A year from now, whatever the year: RFC 7644 §7.4 wants an end.
    assert!(okta["expires"].is_string(), "{okta}");
    assert_eq!(site.json(&["token", "create", "--tenant", "default", "--expires", "never"])["expires"], Value::Null);
    site.says(&["tenant", "create", "acme"]);
    let dated = ["token", "create", "--tenant", "acme", "--permissions", "admin,read", "--expires", "2999-01-31"];
    let acme = site.json(&dated);
    assert_eq!(acme["permissions"], json!(["read", "admin"]));
    assert_eq!(acme["expires"], "2999-01-31T00:00:00Z");

    let list = site.says(&["token", "list"]);
    check_text(&list, &["Okta", "2999-01-31T00:00:00Z", "read,admin"]);
    for token in [&okta, &acme] {
        assert!(!list.contains(token["token"].as_str().unwrap()), "{list}");
    }
    let ids = |list: &Value| list["tokens"].as_array().unwrap().iter().map(|t| t["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&site.json(&["token", "list", "--tenant", "acme"])), [acme["id"].clone()]);

    let id = okta["id"].as_str().unwrap();
    check_text(&site.says(&["token", "revoke", id]), &[id]);
    check_text(&site.fails(1, &["token", "revoke", id]), &[id]);
    assert!(!ids(&site.json(&["token", "list"])).contains(&okta["id"]));

    check_text(&site.fails(1, &["token", "create", "--tenant", "nobody"]), &["tenant", "nobody"]);
    check_text(&site.fails(1, &["token", "list", "--tenant", "nobody"]), &["nobody"]);
    check_text(&site.fails(1, &["token", "create", "--permissions", "read,root"]), &["root", "read, write, admin"]);
    check_text(&site.fails(1, &["token", "create", "--expires", "2001-01-01"]), &["expires", "future"]);
    check_text(&site.fails(1, &["token", "create", "--expires", "soon"]), &["expires", "90d"]);
    check_text(&site.fails(1, &["token", "create", "--label", "a\nb"]), &["label", "control character"]);
    let error: Value = serde_json::from_str(&site.fails(1, &["token", "revoke", "tok_0", "--json"])).unwrap();
    assert_eq!(error["status"], "404");
}

#[test]
fn schemas() {
    let site = Site::new();
    site.says(&["tenant", "create", "acme"]);
    let documents = json!([
        { "id": "urn:example:Device", "name": "Device", "attributes": [] },
        { "name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device" },
    ]);
    std::fs::write(site.path("schemas.json"), documents.to_string()).unwrap();
    let file = site.path("schemas.json");
    assert_eq!(site.json(&["schema", "put", &file, "--tenant", "acme"]), documents);
    check_text(&site.says(&["schema", "list"]), &["SCHEMA", "RESOURCE TYPE"]);

    std::fs::write(site.path("user.json"), "{\"userName\": \"ann\"}").unwrap();
    let file = site.path("user.json");
    check_text(&site.fails(1, &["schema", "put", &file]), &[&file, "neither a schema"]);
    check_text(&site.fails(1, &["schema", "put", "none.json"]), &["none.json"]);
    check_text(&site.fails(1, &["schema", "show", "Device", "--tenant", "nobody"]), &["nobody"]);
}

#[test]
fn out_of_reach() {
    let site = Site::new();
    check_text(&site.fails(3, &["token", "list"]), &["no data", "--data", "--server"]);
    assert!(!Path::new(&site.path("data")).exists());
    check_text(&site.fails(1, &["token", "list", "--storage", "memory:"]), &["memory:", "--data"]);
    let nobody = ["token", "list", "--admin-token", "T", "--server"];
    check_text(&site.fails(3, &[&nobody[..], &["http://127.0.0.1:1"]].concat()), &["http://127.0.0.1:1", "--server"]);
    check_text(&site.fails(1, &[&nobody[..], &["127.0.0.1:1"]].concat()), &["--server", "http://"]);
    check_text(&site.fails(1, &["token", "list", "--server", "http://127.0.0.1:1"]), &["--admin-token"]);

    let server = site.serve(&[]);
    let said = site.fails(3, &["token", "list"]);
    check_text(&said, &["in use by a running server", "--server URL --admin-token TOKEN", &site.path("data")]);
    drop(server);
    site.says(&["token", "list"]);
}

#[test]
fn through_a_running_server() {
    let site = Site::new();
    let operator = site.json(&["token", "create", "--permissions", "admin"]);
    let server = site.serve(&[]);
    let through = ["--server", &server.url, "--admin-token", operator["token"].as_str().unwrap()];
    let with =
        |arguments: &[&str]| [arguments, &through[..]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let json = |arguments: &[&str]| site.json(&with(arguments).iter().map(String::as_str).collect::<Vec<_>>());
    let fails = |arguments: &[&str]| site.fails(1, &with(arguments).iter().map(String::as_str).collect::<Vec<_>>());

    assert_eq!(json(&["tenant", "create", "acme"])["name"], "acme");
    check_text(&fails(&["tenant", "create", "acme"]), &["already"]);
    let token = json(&["token", "create", "--tenant", "acme", "--expires", "90d"]);
    assert_eq!(json(&["token", "list", "--tenant", "acme"])["tokens"][0]["id"], token["id"]);
    assert_eq!(json(&["tenant", "set", "acme", "passwords=true"]), json!({ "passwords": true }));
    assert_eq!(json(&["tenant", "show", "acme"])["name"], "acme");
    check_text(&fails(&["tenant", "show", "nobody"]), &["nobody"]);

    // What it says is what the token's permissions allow.
    let url = ["--server", &server.url, "--admin-token"];
    let told = site.fails(1, &[&["tenant", "list"], &url[..], &[token["token"].as_str().unwrap()]].concat());
    check_text(&told, &["permission `admin`"]);
    check_text(
        &site.fails(1, &[&["tenant", "list"], &url[..], &["wrong"]].concat()),
        &["mistyped, expired or revoked"],
    );

    let id = operator["id"].as_str().unwrap();
    site.says(&with(&["token", "revoke", id]).iter().map(String::as_str).collect::<Vec<_>>());
    check_text(&fails(&["token", "list"]), &["mistyped, expired or revoked"]);
}

#[test]
fn over_http() {
    let site = Site::new();
    for tenant in ["acme", "beta"] {
        site.says(&["tenant", "create", tenant]);
    }
    let token = |tenant: &str, permissions: &str| {
        let token = site.json(&["token", "create", "--tenant", tenant, "--permissions", permissions]);
        (token["id"].as_str().unwrap().to_owned(), token["token"].as_str().unwrap().to_owned())
    };
    let (_, reader) = token("default", "read,write");
    let (_, acme) = token("acme", "admin");
    let (beta_id, _) = token("beta", "read");
    let server = site.serve(&["--token", "operator"]);

    // Who may.
    let (status, head, _) = server.send("GET", "/admin/tenants", "wrong", "");
    assert_eq!(status, 401);
    check_text(&head, &["www-authenticate: bearer", "x-request-id: "]);
    server.check("GET", "/admin/tenants", &reader, "", 403, "permission `admin`");
    server.check("GET", "/admin/tenants", &acme, "", 403, "acme");
    server.check("GET", "/admin/tenants", "operator", "", 200, "beta");

    // A tenant's administrator reaches its own tenant, and learns nothing of others.
    server.check("GET", "/admin/tokens", &acme, "", 200, "acme");
    let (_, _, list) = server.send("GET", "/admin/tokens", &acme, "");
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1, "{list}");
    server.check("GET", "/admin/tokens?tenant=beta", &acme, "", 403, "acme");
    server.check("POST", "/admin/tokens", &acme, r#"{"tenant": "beta"}"#, 403, "acme");
    server.check("POST", "/admin/tokens", &acme, r#"{"tenant": "default"}"#, 403, "acme");
    server.check("POST", "/admin/tokens", &acme, "", 201, r#""tenant":"acme""#);
    server.check("DELETE", &format!("/admin/tokens/{beta_id}"), &acme, "", 404, &beta_id);
    server.check("GET", &format!("/admin/tokens/{beta_id}"), &acme, "", 404, &beta_id);
    server.check("PATCH", "/admin/tenants/acme/settings", &acme, r#"{"passwords":true}"#, 200, "passwords");
    server.check("PATCH", "/admin/tenants/beta/settings", &acme, r#"{"passwords":true}"#, 403, "acme");
    server.check("PATCH", "/admin/tenants/beta/settings", "operator", r#"{"passwords":true}"#, 200, "passwords");
    server.check("GET", "/admin/tenants/nobody/settings", "operator", "", 404, "nobody");
    server.check("GET", "/admin/tenants/beta/Users", "operator", "", 404, "/admin/tenants/{name}/settings");

    // What is sent.
    server.check("POST", "/admin/tenants", "operator", r#"{"name": "acme"}"#, 409, "uniqueness");
    server.check("POST", "/admin/tenants", "operator", r#"{"name": "gamma", "size": 1}"#, 400, "size");
    server.check("POST", "/admin/tenants", "operator", "{", 400, "invalidSyntax");
    server.check("PATCH", "/admin/tenants/acme", "operator", r#"{"displayName": "Acme"}"#, 200, "Acme");
    server.check("PATCH", "/admin/tenants/acme", "operator", r#"{"displayName": null}"#, 200, "acme");
    let (_, _, shown) = server.send("GET", "/admin/tenants/acme", "operator", "");
    assert_eq!(shown["displayName"], Value::Null);
    server.check("DELETE", "/admin/tenants/acme", "operator", "", 405, "PATCH");
    server.check("PUT", "/admin/tokens", "operator", "", 405, "POST");
    server.check("GET", "/admin/nothing", "operator", "", 404, "/admin/tenants");
    server.check("GET", "/admin/tokens?page=2", "operator", "", 400, "page");

    // Pages.
    let mut names = Vec::new();
    let mut query = "?count=1".to_owned();
    loop {
        let (_, _, page) = server.send("GET", &format!("/admin/tenants{query}"), "operator", "");
        names.extend(page["tenants"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?count=1&after={next}");
    }
    assert_eq!(names, ["acme", "beta", "default"]);

    // Secrets are shown once, and kept by nobody in between.
    let (status, head, issued) = server.send("POST", "/admin/tokens", "operator", r#"{"label": "x", "expires": "1h"}"#);
    assert_eq!(status, 201);
    check_text(&head, &["cache-control: no-store", "location: /admin/tokens/tok_"]);
    let path = format!("/admin/tokens/{}", issued["id"].as_str().unwrap());
    let (_, _, shown) = server.send("GET", &path, "operator", "");
    assert_eq!((&shown["token"], &shown["label"]), (&Value::Null, &json!("x")));
    assert_eq!(server.send("DELETE", &path, "operator", "").0, 204);
    server.check("DELETE", &path, "operator", "", 404, "tok_");
}

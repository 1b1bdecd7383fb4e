//! `scimwell check`: passes against our own server, finds exactly what is broken in a faulty one, and leaves nothing behind.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use scimwell_tests::client::{Request, Response};
use scimwell_tests::faulty::{Fault, Faulty};
use scimwell_tests::server::{Server, TOKEN, binary, in_default, workspace};
use serde_json::{Value, json};

fn check(url: &str, more: &[&str]) -> Output {
    // Ours takes milliseconds; a loaded machine must not make the large group late.
    let fixed = ["check", url, "--token", TOKEN, "--patience", "120", "--timeout", "120"];
    Command::new(binary()).args(fixed).args(more).output().expect("the binary runs")
}

fn report(url: &str, more: &[&str]) -> (Option<i32>, Value) {
    let output = check(url, &[&["--format", "json"], more].concat());
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// The ids of the checks that came out so.
fn that(report: &Value, result: &str) -> BTreeSet<String> {
    let checks = report["checks"].as_array().expect("the report lists the checks").iter();
    checks
        .filter(|check| check["result"] == result)
        .filter_map(|check| check["id"].as_str())
        .map(str::to_owned)
        .collect()
}

fn send(server: &Server, request: &Request) -> Response {
    server.client().send(request).expect("the server answers")
}

fn total(server: &Server, endpoint: &str) -> Value {
    send(server, &in_default("GET", &format!("{endpoint}?count=0"))).json()["totalResults"].clone()
}

#[track_caller]
fn passes(url: &str) {
    let (code, report) = report(url, &[]);
    assert_eq!(that(&report, "failed"), BTreeSet::new(), "{report:#}");
    assert_eq!(that(&report, "blocked"), BTreeSet::new(), "{report:#}");
    assert_eq!(that(&report, "skipped"), BTreeSet::new(), "{report:#}");
    assert!(that(&report, "passed").len() > 100, "{report:#}");
    assert_eq!((code, &report["left"], &report["complete"]), (Some(0), &json!([]), &json!(true)));
}

#[test]
fn our_server_passes_in_memory_and_as_a_tenant() {
    let server = Server::dev();
    passes(&format!("http://{}/scim/v2", server.address()));
    // With a slash at the end, as people paste it.
    passes(&format!("http://{}/t/acme/scim/v2/", server.address()));
    assert_eq!((total(&server, "/Users"), total(&server, "/Groups")), (json!(0), json!(0)));
}

#[test]
fn our_server_passes_on_disk() {
    let directory = scimwell_tests::data::DataDirectory::new("check");
    let server = Server::with_data(directory.path());
    passes(&format!("http://{}/scim/v2", server.address()));
    assert_eq!((total(&server, "/Users"), total(&server, "/Groups")), (json!(0), json!(0)));
}

/// A profile named after a provider must not refuse what that provider sends.
#[test]
fn each_providers_sequence_passes_under_its_profile() {
    let server = Server::dev();
    for provider in ["okta", "entra", "onelogin", "ping", "jumpcloud", "google"] {
        let base = format!("/t/{provider}/scim/v2");
        let settings = Request::new("PATCH", format!("{base}/admin/settings")).bearer(TOKEN);
        assert_eq!(send(&server, &settings.json(&json!({ "profile": provider }))).status, 200);
        let (code, report) = report(&format!("http://{}{base}", server.address()), &["--as", provider]);
        for result in ["failed", "blocked", "skipped"] {
            assert_eq!(that(&report, result), BTreeSet::new(), "{provider}: {report:#}");
        }
        assert!(!that(&report, "passed").is_empty());
        assert_eq!((code, &report["left"]), (Some(0), &json!([])), "{provider}");
    }
}

/// What each fault makes fail, and nothing else; who was there before is untouched.
#[test]
fn each_fault_is_found() {
    let server = Server::dev();
    let resident = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "resident" });
    let resident = send(&server, &in_default("POST", "/Users").json(&resident)).json();
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Residents",
        "members": [{ "value": resident["id"] }],
    });
    let group = send(&server, &in_default("POST", "/Groups").json(&group)).json();
    // Read again: its version counts memberships.
    let path = format!("/Users/{}", resident["id"].as_str().expect("an id"));
    let resident = send(&server, &in_default("GET", &path)).json();
    let expected =
        std::fs::read_to_string(workspace().join("tests/check/faults.json")).expect("the expectations are there");
    let expected: Value = serde_json::from_str(&expected).expect("they are JSON");
    let mut found = serde_json::Map::new();
    for fault in FAULTS {
        let faulty = Faulty::start(server.address(), *fault);
        let (code, report) = report(&faulty.url(), &[]);
        let failed: BTreeSet<String> = that(&report, "failed").union(&that(&report, "blocked")).cloned().collect();
        assert_eq!(code, Some(i32::from(!failed.is_empty())), "{fault:?}: {report:#}");
        found.insert(format!("{fault:?}"), json!(failed));
    }
    assert_eq!(send(&server, &in_default("GET", &path)).json()["meta"], resident["meta"]);
    let path = format!("/Groups/{}", group["id"].as_str().expect("an id"));
    let after = send(&server, &in_default("GET", &path)).json();
    assert_eq!((&after["meta"], &after["members"]), (&group["meta"], &group["members"]));
    assert_eq!((total(&server, "/Users"), total(&server, "/Groups")), (json!(1), json!(1)));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let text = format!("{:#}\n", Value::Object(found));
        std::fs::write(workspace().join("tests/check/faults.json"), text).expect("the file can be written");
        return;
    }
    for (fault, failed) in &found {
        assert_eq!(failed, &expected[fault], "{fault}; UPDATE_EXPECTED=1 writes what is found");
    }
    assert_eq!(found.len(), expected.as_object().map_or(0, serde_json::Map::len));
}

const FAULTS: &[Fault] = &[
    Fault::None,
    Fault::FilterIgnored,
    Fault::FilterByPrefix,
    Fault::NothingFoundIs404,
    Fault::InvalidFilterFindsNothing,
    Fault::StartIndexFromZero,
    Fault::TotalOfPage,
    Fault::NumbersAsStrings,
    Fault::InactiveHidden,
    Fault::PatchLost,
    Fault::PatchNotAtomic,
    Fault::OperationCase,
    Fault::BooleanStringsRefused,
    Fault::RemoveByValueClears,
    Fault::PartialUpdateEmptiesMembers,
    Fault::MembersTruncated,
    Fault::NoPut,
    Fault::PutSuspends,
    Fault::DuplicateIs200,
    Fault::ConflictWithoutType,
    Fault::HtmlErrors,
    Fault::StatusAsNumber,
    Fault::CharsetRefused,
    Fault::UserAgentRequired,
    Fault::InternalLocation,
    Fault::PasswordShown,
    Fault::CreatedWithoutBody,
];

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let server = Server::dev();
    let faulty = Faulty::start(server.address(), Fault::Slow);
    let mut command = Command::new(binary());
    command.args(["check", &faulty.url(), "--token", TOKEN, "--as", "entra"]);
    let run = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn();
    let mut run = run.expect("the binary runs");
    while faulty.created() < 5 {
        assert!(run.try_wait().expect("a child can be waited for").is_none(), "the run ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let status = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill(1) runs");
    assert!(status.success());
    let output = run.wait_with_output().expect("the run ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("The run is not complete: interrupted after"), "{text}");
    assert_eq!((total(&server, "/Users"), total(&server, "/Groups")), (json!(0), json!(0)));
}

#[test]
fn the_table_tells_what_to_do_and_hides_the_token() {
    let server = Server::dev();
    let faulty = Faulty::start(server.address(), Fault::RemoveByValueClears);
    let output = check(&faulty.url(), &["--only", "entra-group-remove-by-value"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "FAILED   entra-group-remove-by-value",
        "expected 1 members, found 0",
        "everybody in it loses access",
        "remove only the members that it lists",
        "> authorization: ***",
        "< 200",
        "does not work",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains(TOKEN), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn failures_below_the_threshold_do_not_count() {
    let server = Server::dev();
    let faulty = Faulty::start(server.address(), Fault::StatusAsNumber);
    let run = |fail_on| check(&faulty.url(), &["--only", "rfc-error-body", "--fail-on", fail_on]).status.code();
    assert_eq!((run("cosmetic"), run("degrades"), run("breaks")), (Some(1), Some(1), Some(0)));
}

#[test]
fn junit_is_well_formed() {
    let server = Server::dev();
    let faulty = Faulty::start(server.address(), Fault::HtmlErrors);
    let output = check(&faulty.url(), &["--format", "junit", "--as", "rfc,jumpcloud"]);
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let opened = elements(&text);
    assert_eq!(opened.iter().filter(|name| *name == "testsuite").count(), 2);
    let (_, report) = report(&faulty.url(), &["--as", "rfc,jumpcloud"]);
    assert_eq!(
        opened.iter().filter(|name| *name == "testcase").count(),
        report["checks"].as_array().map_or(0, Vec::len)
    );
    assert_eq!(opened.iter().filter(|name| *name == "failure").count(), that(&report, "failed").len());
    assert!(text.contains("&lt;h1&gt;Oops"), "{text}");
}

/// The names of the elements of an XML document, which must be nested properly and have no stray `<` or `&`.
fn elements(text: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest =
        text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("the declaration comes first");
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "&{entity}");
        }
        let end = start + rest[start..].find('>').expect("each element ends");
        let element = &rest[start + 1..end];
        let name = element.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if element.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "elements are nested");
        } else {
            assert_eq!(element.matches('"').count() % 2, 0, "{element}");
            all.push(name.to_owned());
            if !element.ends_with('/') {
                open.push(name.to_owned());
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
    all
}

#[test]
fn what_cannot_be_checked_is_told() {
    let server = Server::dev();
    let origin = format!("http://{}", server.address());
    let told = |url: &str, more: &[&str]| {
        let output = check(url, more);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = told(&origin, &[]);
    assert!(code == Some(3) && text.contains(&format!("{origin}/scim/v2 is one")), "{text}");
    let (code, text) = told(&format!("{origin}/scim/v2"), &["--header", "Authorization: Bearer wrong"]);
    assert!(code == Some(3) && text.contains("refused the credentials with status 401"), "{text}");
    let (code, text) = told("http://127.0.0.1:1", &[]);
    assert!(code == Some(3) && text.contains("cannot connect"), "{text}");
    let (code, text) = told(&origin, &["--only", "rfc-nothing"]);
    assert!(code == Some(2) && text.contains("--list"), "{text}");
}

/// docs/check.md lists every check, as `--list` does; UPDATE_EXPECTED=1 writes the list.
#[test]
fn the_documentation_lists_every_check() {
    let output =
        Command::new(binary()).args(["check", "--list", "--format", "json"]).output().expect("the binary runs");
    let list: Value = serde_json::from_slice(&output.stdout).expect("the list is JSON");
    let text = |check: &Value, name: &str| check[name].as_str().expect("each has every text").to_owned();
    let rows = list["checks"].as_array().expect("a list").iter().map(|check| {
        let (id, title) = (text(check, "id"), text(check, "title"));
        let (severity, breaks) = (text(check, "severity"), text(check, "breaks"));
        format!("| `{id}` | {title} | {severity} | {breaks} |\n").replace("[…]", "\\[…\\]")
    });
    let table = format!(
        "| check | what is done | a failure | what it would break |\n|---|---|---|---|\n{}",
        rows.collect::<String>()
    );
    let path = workspace().join("docs/check.md");
    let document = std::fs::read_to_string(&path).expect("docs/check.md is there");
    let marker = "<!-- the list of checks: kept by tests/tests/check.rs -->\n";
    let (before, after) = document.split_once(marker).expect("it marks where the list begins");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, format!("{before}{marker}{table}")).expect("it can be written");
        return;
    }
    assert_eq!(after, table, "UPDATE_EXPECTED=1 writes the list");
    // What the text before it names exists.
    for word in before.split('`').filter(|word| {
        let provider = word.split('-').next().unwrap_or_default();
        word.contains('-') && ["rfc", "okta", "entra", "onelogin", "ping", "jumpcloud", "google"].contains(&provider)
    }) {
        assert!(
            list["checks"].as_array().expect("a list").iter().any(|check| check["id"] == word),
            "no check `{word}`"
        );
    }
}

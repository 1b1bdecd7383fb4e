//! Data in and out through the binary: export, import, backup and restore.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use scimwell_tests::data::DataDirectory;
use scimwell_tests::server::{Server, TOKEN, binary, in_default, in_tenant};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Runs a command with `--json`.
fn scimwell(place: &[&str], arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).args(place).arg("--json").stdin(Stdio::null()).output().unwrap()
}

/// What a command that must succeed prints as JSON.
#[track_caller]
fn succeeds(place: &[&str], arguments: &[&str]) -> Value {
    let output = scimwell(place, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// What a command that must fail says.
#[track_caller]
fn fails(place: &[&str], arguments: &[&str], code: i32) -> String {
    let output = scimwell(place, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have UTF-8 names")
}

fn at(server: &Server) -> [String; 4] {
    ["--server".into(), format!("http://{}", server.address()), "--admin-token".into(), TOKEN.into()]
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(path: &Path, records: &[Value]) {
    fs::write(path, records.iter().map(|record| record.to_string() + "\n").collect::<String>()).unwrap();
}

fn rejects(input: &Path) -> PathBuf {
    format!("{}.rejects.ndjson", input.display()).into()
}

/// Users whose managers come before and after them, and groups in groups, the members of some after them.
fn company(users: usize) -> Vec<Value> {
    let user = |n: usize| {
        json!({
            "schemas": [USER, ENTERPRISE], "id": format!("old-{n}"), "userName": format!("user{n}"),
            "externalId": format!("e{n}"), "active": !n.is_multiple_of(3), "name": { "familyName": format!("Ünï\n{n}") },
            "emails": [{ "value": format!("user{n}@example.com"), "type": "work", "primary": true }],
            ENTERPRISE: { "department": "R&D", "manager": { "value": format!("old-{}", (n * 7 + 3) % users) } },
            "groups": [{ "value": "left out", "display": "the server's own" }],
        })
    };
    let group = |n: usize, members: Vec<String>| {
        let members: Vec<Value> = members.into_iter().map(|id| json!({ "value": id, "$ref": "http://x/y" })).collect();
        json!({ "schemas": [GROUP], "id": format!("group-{n}"), "displayName": "Same name", "members": members })
    };
    let every = |step: usize| (0..users).step_by(step).map(|n| format!("old-{n}"));
    let mut records = vec![group(0, every(2).chain(["group-1".to_owned()]).collect()), group(1, vec![])];
    records.extend((0..users).map(user));
    records.push(group(2, every(3).chain(["group-0".to_owned()]).collect()));
    records
}

/// The resources of an export without what each server gives anew; ids are replaced by `name`.
fn comparable(export: &Path) -> Vec<String> {
    let resources = lines(export);
    // Groups of the same name are told by how many members they have.
    let name = |resource: &Value| match resource["userName"].as_str() {
        Some(name) => name.to_owned(),
        None => format!("{} of {}", resource["displayName"], resource["members"].as_array().map_or(0, Vec::len)),
    };
    let names: BTreeMap<String, String> =
        resources.iter().map(|resource| (resource["id"].as_str().unwrap().to_owned(), name(resource))).collect();
    let named = |id: &Value| names.get(id.as_str().unwrap_or_default()).cloned().unwrap_or_else(|| panic!("{id}"));
    let mut found: Vec<String> = resources
        .into_iter()
        .map(|mut resource| {
            resource["id"] = named(&resource["id"]).into();
            assert!(resource["meta"]["lastModified"].is_string(), "{resource}");
            resource["meta"] = resource["meta"]["resourceType"].take();
            if let Some(members) = resource["members"].as_array_mut() {
                for member in members.iter_mut() {
                    member["value"] = named(&member["value"]).into();
                    assert!(member["$ref"].is_string(), "{member}");
                    member["$ref"] = Value::Null;
                }
                members.sort_by_key(Value::to_string);
            }
            let manager = &mut resource[ENTERPRISE]["manager"];
            if manager["value"].is_string() {
                *manager = named(&manager["value"]).into();
            }
            resource.to_string()
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn round_trip_into_another_tenant_and_server() {
    let directory = DataDirectory::new("round-trip");
    let [input, first, second, third] =
        ["in.ndjson", "first.ndjson", "second.ndjson", "third.ndjson"].map(|name| directory.path().join(name));
    write(&input, &company(120));
    let data = directory.path().join("data");
    let local = ["--data", text(&data)];
    for tenant in ["acme", "beta"] {
        succeeds(&local, &["tenant", "create", tenant]);
    }
    let report = succeeds(&local, &["import", text(&input), "--tenant", "acme", "--batch", "7"]);
    assert_eq!([&report["created"], &report["rejected"]], [&json!(123), &json!(0)], "{report}");
    let report = succeeds(&local, &["export", text(&first), "--tenant", "acme"]);
    assert_eq!(report["written"], json!({ "User": 120, "Group": 3 }));
    let whole = comparable(&first);
    let said = whole.iter().find(|resource| resource.contains("\"userName\":\"user5\"")).unwrap();
    for part in ["\"manager\":\"user38\"", "Ünï\\n5", "\"externalId\":\"e5\"", "\"active\":true"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    // Users come before groups.
    let types: Vec<_> = lines(&first).iter().map(|resource| resource["meta"]["resourceType"].to_string()).collect();
    assert!(types.is_sorted_by(|a, b| a >= b), "{types:?}");

    succeeds(&local, &["import", text(&first), "--tenant", "beta"]);
    succeeds(&local, &["export", text(&second), "--tenant", "beta"]);
    assert_eq!(comparable(&second), whole);

    let server = Server::dev();
    let place = at(&server);
    let place = place.each_ref().map(String::as_str);
    succeeds(&place, &["import", text(&first), "--tenant", "gamma", "--restart"]);
    succeeds(&place, &["export", text(&third), "--tenant", "gamma"]);
    assert_eq!(comparable(&third), whole);
    // Once more into the same tenant: everything is there, and stays as it is.
    let report = succeeds(&place, &["import", text(&third), "--tenant", "gamma"]);
    let counts = ["created", "updated", "rejected"].map(|key| report[key].as_u64());
    assert_eq!(counts, [Some(0), Some(123), Some(0)], "{report}");
    succeeds(&place, &["export", text(&second), "--tenant", "gamma", "--force"]);
    assert_eq!(comparable(&second), whole);
    let said = fails(&place, &["export", text(&second), "--tenant", "gamma"], 1);
    assert!(said.contains("--force"), "{said}");
}

#[test]
fn an_import_that_is_killed_goes_on() {
    const USERS: usize = 3_000;
    let directory = DataDirectory::new("killed-import");
    let [input, export] = ["in.ndjson", "out.ndjson"].map(|name| directory.path().join(name));
    let mut records = company(USERS);
    records.insert(700, json!({ "schemas": [USER], "displayName": "without userName" }));
    write(&input, &records);
    let checkpoint: PathBuf = format!("{}.checkpoint", input.display()).into();
    let data = directory.path().join("data");
    let local = ["--data", text(&data)];
    succeeds(&local, &["tenant", "create", "acme"]);
    let arguments = ["import", text(&input), "--tenant", "acme", "--batch", "10", "--on-conflict", "fail"];
    // Killed in the first pass, soon and late, and in the second.
    let moments: [fn(&str) -> bool; 3] =
        [|log| log.lines().count() > 20, |log| log.lines().count() > 150, |log| log.contains("{\"links\"")];
    for reached in moments {
        let mut command = Command::new(binary());
        let mut import =
            command.args(arguments).args(local).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !reached(&fs::read_to_string(&checkpoint).unwrap_or_default()) {
            assert!(import.try_wait().unwrap().is_none(), "the import ended before it could be killed");
            thread::sleep(Duration::from_millis(1));
        }
        import.kill().unwrap();
        import.wait().unwrap();
    }
    let output = scimwell(&local, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = ["created", "updated", "skipped", "rejected"].map(|key| report[key].as_u64());
    assert_eq!(counts, [Some(USERS as u64 + 3), Some(0), Some(0), Some(1)], "{report} {said}");
    let rejected = lines(&rejects(&input));
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0]["line"], 701);

    succeeds(&local, &["export", text(&export), "--tenant", "acme"]);
    // Nothing twice, nothing missing, and all references in place: as an import that nobody disturbed.
    let undisturbed = directory.path().join("undisturbed.ndjson");
    succeeds(&local, &["tenant", "create", "beta"]);
    fails(&local, &["import", text(&input), "--tenant", "beta", "--restart"], 1);
    succeeds(&local, &["export", text(&undisturbed), "--tenant", "beta"]);
    assert_eq!(comparable(&export), comparable(&undisturbed));
    assert_eq!(lines(&export).len(), USERS + 3);
}

#[test]
fn what_is_rejected_and_what_is_there_already() {
    let directory = DataDirectory::new("rejects");
    let input = directory.path().join("in.ndjson");
    let data = directory.path().join("data");
    let local = ["--data", text(&data)];
    succeeds(&local, &["tenant", "create", "acme"]);
    let import = |more: &[&str]| {
        let arguments = [&["import", text(&input), "--tenant", "acme", "--restart"], more].concat();
        let output = scimwell(&local, &arguments);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = ["created", "updated", "skipped", "rejected"].map(|key| report[key].as_u64().unwrap());
        (counts, output.status.code())
    };
    let ann = json!({ "schemas": [USER], "userName": "ann", "title": "a" });
    fs::write(
        &input,
        format!(
            "{ann}\n\n{{oops\n{}\n{}\n{}\n{}\n",
            json!({ "userName": "bob", "active": "perhaps", "schemas": [USER] }),
            json!({ "schemas": ["urn:unknown"], "userName": "cyd", "meta": { "resourceType": "Device" } }),
            json!({ "schemas": [GROUP], "displayName": "G", "members": [{ "value": "ann" }, { "value": "nobody" }] }),
            json!({ "schemas": [USER], "userName": "ANN" }),
        ),
    )
    .unwrap();
    // A dry run says what would be, and does nothing.
    let arguments = ["import", text(&input), "--tenant", "acme", "--dry-run"];
    let report: Value = serde_json::from_slice(&scimwell(&local, &arguments).stdout).unwrap();
    assert_eq!([&report["created"], &report["dryRun"]], [&json!(2), &json!(true)], "{report}");
    let count = |resource: &str| {
        let output = scimwell(&local, &["export", "--tenant", "acme", "--type", resource]);
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    assert_eq!((count("User"), count("Group")), (0, 0));

    assert_eq!(import(&["--on-conflict", "fail"]), ([2, 0, 0, 5], Some(1)));
    let rejected: Vec<_> = lines(&rejects(&input))
        .into_iter()
        .map(|reject| (reject["line"].as_u64().unwrap(), reject["error"].clone(), reject["record"].clone()))
        .collect();
    let expect = [
        (3, "400", "invalidSyntax", "no SCIM resource in JSON"),
        (4, "400", "invalidValue", "active"),
        (5, "400", "invalidValue", "no resource type"),
        (7, "409", "uniqueness", "userName"),
        (6, "400", "invalidValue", "\"nobody\""),
    ];
    assert_eq!(rejected.len(), expect.len(), "{rejected:#?}");
    for ((line, error, record), (at, status, scim_type, says)) in rejected.iter().zip(expect) {
        assert_eq!(*line, at, "{error}");
        assert_eq!(error["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!([&error["status"], &error["scimType"]], [status, scim_type], "{error}");
        assert!(error["detail"].as_str().unwrap().contains(says), "{error}");
        assert!(!record.is_null(), "{error}");
    }
    assert_eq!((count("User"), count("Group")), (1, 1));

    // Again: what is there is updated, left or refused, by userName, externalId or, of groups, by name.
    write(&input, &[json!({ "schemas": [USER], "userName": "Ann", "externalId": "7", "title": "b" })]);
    assert_eq!(import(&["--on-conflict", "skip"]), ([0, 0, 1, 0], Some(0)));
    assert_eq!(import(&[]), ([0, 1, 0, 0], Some(0)));
    write(&input, &[json!({ "schemas": [USER], "userName": "anne", "externalId": "7" })]);
    assert_eq!(import(&["--on-conflict", "fail"]), ([0, 0, 0, 1], Some(1)));
    assert_eq!(import(&[]), ([0, 1, 0, 0], Some(0)));
    write(&input, &[json!({ "schemas": [GROUP], "displayName": "G", "members": [] })]);
    assert_eq!(import(&[]), ([0, 1, 0, 0], Some(0)));
    assert_eq!((count("User"), count("Group")), (1, 1));
    let output = scimwell(&local, &["export", "--tenant", "acme"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("anne") && !said.contains("members"), "{said}");
}

#[test]
fn csv_with_a_mapping() {
    let directory = DataDirectory::new("csv");
    let [input, mapping, members] = ["people.csv", "map", "teams.csv"].map(|name| directory.path().join(name));
    fs::write(
        &input,
        "\u{feff}Login;Mail;name.familyName;active;Boss;Note\r\nann;ann@x.example;\"Lee; \"\"A\"\"\";yes;bob;-\r\n\
         bob;bob@x.example;;no;;-\r\ncyd;;;maybe;;-\r\n",
    )
    .unwrap();
    fs::write(
        &mapping,
        format!("# For the test\nMail=emails[type eq \"work\"].value\nBoss={ENTERPRISE}:manager.value\n"),
    )
    .unwrap();
    fs::write(&members, "displayName,members\nTeam,ann;bob\n").unwrap();
    let server = Server::dev();
    let place = at(&server);
    let place = place.each_ref().map(String::as_str);
    let common = ["import", text(&input), "--tenant", "csv", "--delimiter", ";", "--map-file", text(&mapping)];
    let said = fails(&place, &common, 1);
    assert!(said.contains("\"Login\"") && said.contains("--map 'Login=PATH'"), "{said}");
    let said =
        fails(&place, &[&common[..], &["--map", "Login=userName", "--map", "Note=", "--map", "X=title"]].concat(), 1);
    assert!(said.contains("\"X\""), "{said}");
    fails(&place, &[&common[..], &["--map", "Login=userName", "--map", "Note="]].concat(), 1);
    let rejected = lines(&rejects(&input));
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!([&rejected[0]["line"], &rejected[0]["record"][0]], [&json!(4), &json!("cyd")]);
    succeeds(&place, &["import", text(&members), "--tenant", "csv", "--type", "Group"]);

    let columns = format!("userName,name.familyName,emails[type eq \"work\"].value,active,{ENTERPRISE}:manager.value");
    let export = ["export", "--tenant", "csv", "--format", "csv", "--columns", &columns];
    let output = String::from_utf8(scimwell(&place, &export).stdout).unwrap();
    let bob = server.client().send(&in_tenant("csv", "GET", "/Users?filter=userName%20eq%20%22bob%22")).unwrap().json();
    let bob = bob["Resources"][0]["id"].as_str().unwrap();
    let expect = format!(
        "userName,name.familyName,\"emails[type eq \"\"work\"\"].value\",active,{ENTERPRISE}:manager.value\r\n\
         ann,\"Lee; \"\"A\"\"\",ann@x.example,true,{bob}\r\nbob,,bob@x.example,false,\r\n"
    );
    assert_eq!(output, expect);
    let team = server.client().send(&in_tenant("csv", "GET", "/Groups")).unwrap().json();
    assert_eq!(team["Resources"][0]["members"].as_array().map(Vec::len), Some(2), "{team}");
    // What was exported comes back without a mapping.
    let exported = directory.path().join("exported.csv");
    fs::write(&exported, &output).unwrap();
    let report = succeeds(&place, &["import", text(&exported), "--tenant", "csv"]);
    assert_eq!(report["updated"], 2, "{report}");
    assert_eq!(String::from_utf8(scimwell(&place, &export).stdout).unwrap(), output);
}

#[test]
fn a_backup_under_load_is_of_one_moment() {
    let directory = DataDirectory::new("backup");
    let [data, backup, restored] = ["data", "backup", "restored"].map(|name| directory.path().join(name));
    let server = Server::with_data(&data);
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let place = at(&server);
    let place = place.each_ref().map(String::as_str);
    let between = thread::scope(|scope| {
        for client in 0..4 {
            let (mut connection, over, written) = (server.client(), &over, &written);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let user = json!({ "schemas": [USER], "userName": format!("{client}-{n}") });
                    let response = connection.send(&in_default("POST", "/Users").json(&user)).unwrap();
                    assert_eq!(response.status, 201, "{response}");
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while written.load(Ordering::SeqCst) < 300 {
            thread::sleep(Duration::from_millis(1));
        }
        let before = written.load(Ordering::SeqCst);
        succeeds(&place, &["backup", text(&backup)]);
        let after = written.load(Ordering::SeqCst);
        // Writes go on after it, so that there is something that the backup does not have.
        while written.load(Ordering::SeqCst) < after + 50 {
            thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Ordering::SeqCst);
        before..=after + 4
    });
    server.kill();

    let report = succeeds(&["--data", text(&restored)], &["restore", text(&backup)]);
    assert_eq!(report["restored"], true);
    let server = Server::with_data(&restored);
    let mut client = server.client();
    let mut get = |path: &str| client.send(&in_default("GET", path)).unwrap().json();
    let total = get("/Users?count=0")["totalResults"].as_u64().unwrap();
    assert!(between.contains(&total), "{total} users, between {between:?} were acknowledged");
    let mut walked = 0;
    let mut page = get("/Users?cursor=&count=500&attributes=id");
    loop {
        walked += page["Resources"].as_array().unwrap().len() as u64;
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        page = get(&format!("/Users?cursor={cursor}&attributes=id"));
    }
    assert_eq!(walked, total);
    // The log tells of the same users, and goes on with the next number.
    let mut logged = |after: Option<u64>| {
        let after = after.map_or(String::new(), |after| format!("&after={after}"));
        let request =
            scimwell_tests::client::Request::new("GET", format!("/admin/tenants/default/log?count=1000{after}"));
        client.send(&request.bearer(TOKEN)).unwrap().json()
    };
    let (mut records, mut after) = (0, None);
    loop {
        let page = logged(after);
        let found = page["records"].as_array().unwrap_or_else(|| panic!("{page}"));
        let Some(last) = found.last() else { break };
        records += found.len() as u64;
        after = last["sequence"].as_u64();
    }
    assert_eq!((records, after), (total, Some(total)));
    let user = json!({ "schemas": [USER], "userName": "afterwards" });
    assert_eq!(server.client().send(&in_default("POST", "/Users").json(&user)).unwrap().status, 201);
    assert_eq!(logged(after)["records"][0]["sequence"], total + 1);
}

#[test]
fn a_backup_that_cannot_be_trusted_is_refused() {
    let directory = DataDirectory::new("damaged");
    let [data, backup, damaged, restored] =
        ["data", "backup", "damaged", "restored"].map(|name| directory.path().join(name));
    let [local, target] = [["--data", text(&data)], ["--data", text(&restored)]];
    succeeds(&local, &["tenant", "create", "acme"]);
    succeeds(&local, &["backup", text(&backup)]);
    let said = fails(&local, &["backup", text(&backup)], 1);
    assert!(said.contains("--force"), "{said}");

    let whole = fs::read(&backup).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for (bytes, says) in [(&changed[..], "damaged"), (&whole[..whole.len() - 20], "cut off"), (b"x", "no backup")] {
        fs::write(&damaged, bytes).unwrap();
        for arguments in [vec!["restore", text(&damaged)], vec!["restore", text(&damaged), "--verify"]] {
            let said = fails(&target, &arguments, 1);
            assert!(said.contains(says), "{said}");
        }
        assert!(fs::read_dir(&restored).unwrap().next().is_none(), "something is left of a backup that was refused");
    }

    // Data that is there is replaced only where that is said, and only by a backup that holds.
    succeeds(&target, &["tenant", "create", "beta"]);
    let said = fails(&target, &["restore", text(&backup)], 1);
    assert!(said.contains("--replace"), "{said}");
    fs::write(&damaged, &changed).unwrap();
    fails(&target, &["restore", text(&damaged), "--replace"], 1);
    assert_eq!(succeeds(&target, &["tenant", "show", "beta"])["name"], "beta");
    let server = Server::with_data(&restored);
    let said = fails(&target, &["restore", text(&backup), "--replace"], 3);
    assert!(said.contains("in use"), "{said}");
    // Nor does a token that is not the operator's get a backup.
    let place = at(&server);
    let place = place.each_ref().map(String::as_str);
    let token = succeeds(&place, &["token", "create", "--tenant", "beta", "--permissions", "read,write,admin"]);
    let theirs = ["--server", place[1], "--admin-token", token["token"].as_str().unwrap()];
    let copy = directory.path().join("copy");
    let said = fails(&theirs, &["backup", text(&copy)], 1);
    assert!(said.contains("tenant `default`") && !copy.exists(), "{said}");
    server.kill();
    succeeds(&target, &["restore", text(&backup), "--replace"]);
    assert_eq!(succeeds(&target, &["tenant", "show", "acme"])["name"], "acme");
    fails(&target, &["tenant", "show", "beta"], 1);
}

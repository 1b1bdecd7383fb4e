//! The core over the reference store, where a test needs to see more than the wire: the log, races, refusals, sweeping.

use std::cell::{Cell, RefCell};

use scimwell_guest::host::{AuthError, Change, Credentials, Permissions, Principal, Refusal};
use scimwell_guest::http::{Header, Request, Response};
use scimwell_guest::store::log::Record;
use scimwell_guest::store::memory::Memory;
use scimwell_guest::store::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Store, StoreError, Value, keys,
};
use scimwell_guest::{Host, handle};
use serde_json::json;

type Json = serde_json::Value;

/// Runs something in the middle of a request: just before its first commit.
type Interruption = RefCell<Option<Box<dyn FnOnce()>>>;

#[derive(Default)]
struct TestHost {
    memory: Memory,
    clock: Cell<u64>,
    read_only: bool,
    seats: Option<usize>,
    interruption: std::rc::Rc<Interruption>,
    unavailable: bool,
}

#[derive(Clone)]
struct TestStore {
    memory: Memory,
    interruption: std::rc::Rc<Interruption>,
    unavailable: bool,
}

impl Store for TestStore {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        match self.unavailable {
            true => Err(StoreError::Unavailable("secret-host:5432 refused".into())),
            false => self.memory.get(keys),
        }
    }

    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.memory.scan(range, options)
    }

    fn count(&self, range: &KeyRange) -> Result<u64, StoreError> {
        self.memory.count(range)
    }

    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
        let interruption = self.interruption.borrow_mut().take();
        if let Some(interrupt) = interruption {
            interrupt();
        }
        self.memory.commit(checks, mutations)
    }
}

impl Host for TestHost {
    type Store = TestStore;

    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        match credentials.authorization.as_deref() {
            Some("Bearer T") => Ok(Principal {
                tenant: "default".into(),
                subject: "token-1".into(),
                permissions: Permissions { read: true, write: !self.read_only, admin: false },
            }),
            Some("Bearer slow") => Err(AuthError::RateLimited(7)),
            Some("Bearer other") => Err(AuthError::Forbidden),
            _ => Err(AuthError::Unauthenticated),
        }
    }

    fn open(&self, _tenant: &str) -> Result<TestStore, StoreError> {
        Ok(TestStore {
            memory: self.memory.clone(),
            interruption: self.interruption.clone(),
            unavailable: self.unavailable,
        })
    }

    fn review(&self, change: &Change) -> Result<(), Refusal> {
        let users =
            self.memory.count(&keys::documents(scimwell_guest::schema::REGISTRY.by_name("User").unwrap())).unwrap();
        match self.seats {
            Some(seats) if users >= seats as u64 && change.before.is_none() => {
                Err(Refusal { status: 403, scim_type: None, detail: "No seats left: buy more.".into() })
            }
            _ => Ok(()),
        }
    }

    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1000);
        1_700_000_000_000 + self.clock.get()
    }

    fn random(&self) -> [u8; 16] {
        (u128::from(self.clock.get()) << 64 | 7).to_be_bytes()
    }
}

fn send(host: &TestHost, method: &str, target: &str, headers: &[(&str, &str)], body: Option<Json>) -> Response {
    let mut all = vec![Header::new("authorization", "Bearer T")];
    all.retain(|_| !headers.iter().any(|(name, _)| *name == "authorization"));
    all.extend(headers.iter().map(|(name, value)| Header::new(*name, *value)));
    handle(
        host,
        &Request {
            method: method.into(),
            target: target.into(),
            headers: all,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            base_url: "https://h/scim/v2".into(),
            ..Request::default()
        },
    )
}

fn ok(host: &TestHost, method: &str, target: &str, body: Option<Json>) -> Json {
    let response = send(host, method, target, &[], body);
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status < 300, "{method} {target}: {} {text}", response.status);
    serde_json::from_str(&text).unwrap_or(Json::Null)
}

fn refused(host: &TestHost, method: &str, target: &str, body: Option<Json>, status: u16) -> String {
    let before = host.memory.dump();
    let response = send(host, method, target, &[], body);
    let error: Json = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status, status, "{method} {target}: {error}");
    assert_eq!(error["status"], status.to_string());
    assert_eq!(host.memory.dump(), before, "a refused request changed something");
    error["detail"].as_str().unwrap().to_owned()
}

fn create(host: &TestHost, name: &str) -> String {
    let user = ok(host, "POST", "/Users", Some(json!({ "userName": name, "displayName": name })));
    user["id"].as_str().unwrap().to_owned()
}

fn group(host: &TestHost, name: &str, members: &[&str]) -> String {
    let members: Vec<Json> = members.iter().map(|id| json!({ "value": id })).collect();
    let group = ok(host, "POST", "/Groups", Some(json!({ "displayName": name, "members": members })));
    group["id"].as_str().unwrap().to_owned()
}

fn patch(operation: &Json) -> Json {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

fn add(id: &str) -> Json {
    patch(&json!({ "op": "add", "path": "members", "value": [{ "value": id }] }))
}

fn values(resource: &Json, attribute: &str) -> Vec<String> {
    let elements = resource[attribute].as_array().cloned().unwrap_or_default();
    elements.iter().map(|element| element["value"].as_str().unwrap().to_owned()).collect()
}

fn log(host: &TestHost) -> Vec<Record> {
    let options = ScanOptions { limit: u32::MAX, ..ScanOptions::default() };
    let entries = host.memory.scan(&keys::log_records(), options).unwrap();
    entries.iter().map(|entry| serde_json::from_slice(&entry.value).unwrap()).collect()
}

#[test]
fn each_change_appends_one_record_and_no_change_none() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    ok(
        &host,
        "PATCH",
        &format!("/Users/{user}"),
        Some(patch(&json!({ "op": "Replace", "path": "title", "value": "Dr" }))),
    );
    ok(
        &host,
        "PATCH",
        &format!("/Users/{user}"),
        Some(patch(&json!({ "op": "replace", "path": "title", "value": "Dr" }))),
    );
    ok(&host, "PATCH", &format!("/Groups/{staff}"), Some(add(&user)));
    ok(&host, "DELETE", &format!("/Users/{user}"), None);
    let log = log(&host);
    let told: Vec<String> =
        log.iter().map(|r| format!("{:?} {} by {}", r.operation, r.resource_type, r.subject)).collect();
    assert_eq!(
        told,
        ["Create User by token-1", "Create Group by token-1", "Patch User by token-1", "Delete User by token-1"]
    );
    assert_eq!(log[1].added, [user.as_str()]);
    assert_eq!(
        (&log[2].before, &log[2].after),
        (&serde_json::Map::new(), json!({ "title": "Dr" }).as_object().unwrap())
    );
    assert_eq!(json!(log[2].tolerances), json!(["operation-case"]));
}

#[test]
fn secrets_are_neither_stored_nor_logged_nor_shown() {
    let host = TestHost::default();
    let user = ok(&host, "POST", "/Users", Some(json!({ "userName": "ann", "password": "hunter2" })));
    assert_eq!(user["password"], Json::Null);
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    let patched =
        ok(&host, "PATCH", &path, Some(patch(&json!({ "op": "replace", "path": "password", "value": "hunter2" }))));
    assert_eq!(patched["meta"], user["meta"]);
    for (_, value) in host.memory.dump() {
        assert!(!String::from_utf8_lossy(&value).contains("hunter2"));
    }
}

#[test]
fn members_added_in_the_middle_of_an_add_are_not_lost() {
    let host = std::rc::Rc::new(TestHost::default());
    let users: Vec<String> = (0..3).map(|i| create(&host, &format!("u{i}"))).collect();
    let staff = group(&host, "staff", &[&users[0]]);
    let (inner, path, body) = (host.clone(), format!("/Groups/{staff}"), Some(add(&users[1])));
    let inner_path = path.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        ok(&inner, "PATCH", &inner_path, body);
    }));
    ok(&host, "PATCH", &path, Some(add(&users[2])));
    assert_eq!(values(&ok(&host, "GET", &path, None), "members"), users);
}

#[test]
fn a_name_taken_in_the_middle_of_a_create_is_409() {
    let host = std::rc::Rc::new(TestHost::default());
    let inner = host.clone();
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        create(&inner, "Ann");
    }));
    let response = send(&host, "POST", "/Users", &[], Some(json!({ "userName": "aNN" })));
    assert_eq!(response.status, 409);
    assert_eq!(ok(&host, "GET", "/Users", None)["totalResults"], 1);
}

#[test]
fn a_member_deleted_in_the_middle_of_an_add_is_refused() {
    let host = std::rc::Rc::new(TestHost::default());
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[]);
    let (inner, gone) = (host.clone(), format!("/Users/{user}"));
    *host.interruption.borrow_mut() = Some(Box::new(move || {
        ok(&inner, "DELETE", &gone, None);
    }));
    let response = send(&host, "PATCH", &format!("/Groups/{staff}"), &[], Some(add(&user)));
    assert_eq!(response.status, 400);
    assert!(values(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members").is_empty());
}

#[test]
fn a_renamed_member_is_called_by_its_new_name() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    let path = format!("/Users/{user}");
    ok(&host, "PATCH", &path, Some(patch(&json!({ "op": "replace", "value": { "displayName": "Ann B" } }))));
    assert_eq!(
        ok(&host, "GET", &format!("/Groups/{staff}?attributes=members.display"), None)["members"][0]["display"],
        "Ann B"
    );
}

#[test]
fn groups_of_a_user_are_direct_and_indirect_and_cycles_end() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let inner = group(&host, "inner", &[&user]);
    let outer = group(&host, "outer", &[&inner]);
    ok(&host, "PATCH", &format!("/Groups/{inner}"), Some(add(&outer)));
    let user = ok(&host, "GET", &format!("/Users/{user}"), None);
    let groups = user["groups"].as_array().unwrap();
    let told: Vec<_> = groups.iter().map(|g| (g["display"].as_str().unwrap(), g["type"].as_str().unwrap())).collect();
    assert_eq!(told, [("inner", "direct"), ("outer", "indirect")]);
    assert_eq!(groups[0]["$ref"], format!("https://h/scim/v2/Groups/{inner}"));
}

#[test]
fn deleting_a_large_group_hides_it_at_once_and_later_writes_sweep_it() {
    let host = TestHost::default();
    let users: Vec<String> = (0..1200).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users.iter().map(String::as_str).collect();
    let staff = group(&host, "staff", &ids);
    ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    let first = ok(&host, "GET", &format!("/Users/{}", users[1199]), None);
    assert_eq!(first["groups"], Json::Null);
    for i in 0..3 {
        create(&host, &format!("later{i}"));
    }
    let dump = host.memory.dump();
    let edges: Vec<_> = dump.keys().filter(|key| matches!(key[0], b'm' | b'g' | b'x' | b'c')).collect();
    assert!(edges.is_empty(), "{} keys left", edges.len());
}

#[test]
fn a_deleted_resource_leaves_nothing_but_the_log() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let staff = group(&host, "staff", &[&user]);
    ok(&host, "DELETE", &format!("/Users/{user}"), None);
    assert!(values(&ok(&host, "GET", &format!("/Groups/{staff}"), None), "members").is_empty());
    ok(&host, "DELETE", &format!("/Groups/{staff}"), None);
    let dump = host.memory.dump();
    let left: Vec<_> = dump.iter().filter(|(key, _)| key[0] != b'l').collect();
    assert!(left.iter().all(|(key, value)| key[0] == b'n' && value.iter().all(|b| *b == 0)), "{left:?}");
}

#[test]
fn a_large_membership_change_answers_204_unless_attributes_are_asked_for() {
    let host = TestHost::default();
    let users: Vec<String> = (0..150).map(|i| create(&host, &format!("u{i}"))).collect();
    let ids: Vec<&str> = users[..149].iter().map(String::as_str).collect();
    let path = format!("/Groups/{}", group(&host, "staff", &ids));
    assert_eq!(send(&host, "PATCH", &path, &[], Some(add(&users[149]))).status, 204);
    let asked = send(&host, "PATCH", &format!("{path}?attributes=displayName"), &[], Some(add(&users[149])));
    assert_eq!(asked.status, 200);
    let without = send(&host, "PATCH", &format!("{path}?excludedAttributes=members"), &[], Some(add(&users[149])));
    assert_eq!(without.status, 200);
    assert_eq!(values(&ok(&host, "GET", &path, None), "members").len(), 150);
}

#[test]
fn the_policy_speaks_to_the_client_and_nothing_is_stored() {
    let host = TestHost { seats: Some(1), ..TestHost::default() };
    create(&host, "ann");
    let detail = refused(&host, "POST", "/Users", Some(json!({ "userName": "bob" })), 403);
    assert_eq!(detail, "No seats left: buy more.");
}

#[test]
fn permissions_and_refusals() {
    let host = TestHost { read_only: true, ..TestHost::default() };
    assert!(refused(&host, "POST", "/Users", Some(json!({ "userName": "bob" })), 403).contains("`write`"));
    ok(&host, "GET", "/Users", None);
    let status = |token| send(&host, "GET", "/Users", &[("authorization", token)], None);
    assert_eq!(status("Bearer wrong").status, 401);
    assert_eq!(status("Bearer other").status, 403);
    let slow = status("Bearer slow");
    assert_eq!(
        (slow.status, slow.headers.iter().find(|h| h.name == "retry-after").map(|h| h.value.as_str())),
        (429, Some("7"))
    );
}

#[test]
fn a_store_that_fails_is_503_and_its_words_are_for_the_log() {
    let host = TestHost { unavailable: true, ..TestHost::default() };
    let response = send(&host, "GET", "/Users/x", &[], None);
    assert_eq!(response.status, 503);
    assert!(!String::from_utf8_lossy(&response.body).contains("secret-host"));
    assert!(response.log.unwrap().contains("secret-host"));
}

#[test]
fn a_document_that_cannot_be_read_is_500_and_named_in_the_log() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let key = keys::document(scimwell_guest::schema::REGISTRY.by_name("User").unwrap(), &user);
    host.memory.commit(&[], &[Mutation::Put(key, b"broken".to_vec())]).unwrap();
    let response = send(&host, "GET", &format!("/Users/{user}"), &[], None);
    assert_eq!(response.status, 500);
    assert!(response.log.unwrap().contains(&user));
}

#[test]
fn stale_writers_are_refused() {
    let host = TestHost::default();
    let user = create(&host, "ann");
    let path = format!("/Users/{user}");
    let title = |title: &str| Some(patch(&json!({ "op": "replace", "path": "title", "value": title })));
    let version = ok(&host, "GET", &path, None)["meta"]["version"].as_str().unwrap().to_owned();
    assert_eq!(send(&host, "PATCH", &path, &[("if-match", &version)], title("a")).status, 200);
    assert_eq!(send(&host, "PATCH", &path, &[("if-match", &version)], title("b")).status, 412);
    assert_eq!(send(&host, "DELETE", &path, &[("if-match", &version)], None).status, 412);
    assert_eq!(send(&host, "GET", &path, &[("if-none-match", &version)], None).status, 200);
    let version = ok(&host, "GET", &path, None)["meta"]["version"].as_str().unwrap().to_owned();
    assert_eq!(send(&host, "GET", &path, &[("if-none-match", &version)], None).status, 304);
    assert_eq!(send(&host, "PUT", &path, &[("if-match", "*")], Some(json!({ "userName": "ann" }))).status, 200);
}

#[test]
fn a_resource_shown_as_stored_is_the_one_that_was_read() {
    let host = TestHost::default();
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let user = ok(
        &host,
        "POST",
        "/Users",
        Some(
            json!({ "userName": "ann \"é\"", "active": true, "emails": [{ "value": "a@b" }], enterprise: { "department": "R" } }),
        ),
    );
    let user = format!("/Users/{}", user["id"].as_str().unwrap());
    let staff = group(&host, "staff", &[&create(&host, "bob")]);
    for path in [user, format!("/Groups/{staff}"), format!("/Groups/{}", group(&host, "empty", &[]))] {
        // Leaving out an attribute that documents may hold, though this one doesn't, makes the document be read.
        let stored = send(&host, "GET", &path, &[], None);
        let read = send(&host, "GET", &format!("{path}?excludedAttributes=nickName,externalId"), &[], None);
        assert_eq!(String::from_utf8_lossy(&stored.body), String::from_utf8_lossy(&read.body));
    }
}

//! A host over the reference store, and what tests of the core say to it.

#![allow(dead_code, reason = "each test file uses a part of it")]

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

pub(crate) type Json = serde_json::Value;

/// Runs something in the middle of a request: just before its first commit.
pub(crate) type Interruption = RefCell<Option<Box<dyn FnOnce()>>>;

#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) memory: Memory,
    pub(crate) clock: Cell<u64>,
    pub(crate) drawn: Cell<u64>,
    pub(crate) read_only: bool,
    pub(crate) seats: Option<usize>,
    /// What a policy that keeps to no rule refuses with.
    pub(crate) refusal_status: Option<u16>,
    pub(crate) interruption: std::rc::Rc<Interruption>,
    pub(crate) unavailable: bool,
}

#[derive(Clone)]
pub(crate) struct TestStore {
    pub(crate) memory: Memory,
    pub(crate) interruption: std::rc::Rc<Interruption>,
    pub(crate) unavailable: bool,
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
            Some("Bearer admin") => Ok(Principal {
                tenant: "default".into(),
                subject: "token-admin".into(),
                permissions: Permissions { read: true, write: true, admin: true },
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
            Some(seats) if users >= seats as u64 && change.before.is_none() => Err(Refusal {
                status: self.refusal_status.unwrap_or(403),
                scim_type: self.refusal_status.map(|_| "noSeats".into()),
                detail: if self.refusal_status.is_some() { " ".into() } else { "No seats left: buy more.".into() },
            }),
            _ => Ok(()),
        }
    }

    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1000);
        1_700_000_000_000 + self.clock.get()
    }

    fn random(&self) -> [u8; 16] {
        // Differs from call to call, as one request may need several.
        self.drawn.set(self.drawn.get() + 1);
        (u128::from(self.clock.get()) << 64 | u128::from(self.drawn.get()) << 48 | 7).to_be_bytes()
    }
}

pub(crate) fn send(
    host: &TestHost,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<Json>,
) -> Response {
    let mut all = vec![Header::new("authorization", "Bearer T")];
    all.retain(|_| !headers.iter().any(|(name, _)| *name == "authorization"));
    all.extend(headers.iter().map(|(name, value)| Header::new(*name, *value)));
    if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
        all.push(Header::new("content-type", "application/scim+json"));
    }
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

/// Everything stored but what was tolerated, which requests leave that do nothing else.
pub(crate) fn kept(host: &TestHost) -> std::collections::BTreeMap<Key, Value> {
    let mut kept = host.memory.dump();
    kept.retain(|key, _| key[0] != b'w');
    kept
}

pub(crate) fn ok(host: &TestHost, method: &str, target: &str, body: Option<Json>) -> Json {
    let response = send(host, method, target, &[], body);
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status < 300, "{method} {target}: {} {text}", response.status);
    serde_json::from_str(&text).unwrap_or(Json::Null)
}

pub(crate) fn refused(host: &TestHost, method: &str, target: &str, body: Option<Json>, status: u16) -> String {
    let before = kept(host);
    let response = send(host, method, target, &[], body);
    let error: Json = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status, status, "{method} {target}: {error}");
    assert_eq!(error["status"], status.to_string());
    assert_eq!(kept(host), before, "a refused request changed something");
    error["detail"].as_str().unwrap().to_owned()
}

pub(crate) fn create(host: &TestHost, name: &str) -> String {
    let user = ok(host, "POST", "/Users", Some(json!({ "userName": name, "displayName": name })));
    user["id"].as_str().unwrap().to_owned()
}

pub(crate) fn group(host: &TestHost, name: &str, members: &[&str]) -> String {
    let members: Vec<Json> = members.iter().map(|id| json!({ "value": id })).collect();
    let group = ok(host, "POST", "/Groups", Some(json!({ "displayName": name, "members": members })));
    group["id"].as_str().unwrap().to_owned()
}

pub(crate) fn patch(operation: &Json) -> Json {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

pub(crate) fn add(id: &str) -> Json {
    patch(&json!({ "op": "add", "path": "members", "value": [{ "value": id }] }))
}

pub(crate) fn values(resource: &Json, attribute: &str) -> Vec<String> {
    let elements = resource[attribute].as_array().cloned().unwrap_or_default();
    elements.iter().map(|element| element["value"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn log(host: &TestHost) -> Vec<Record> {
    let options = ScanOptions { limit: u32::MAX, ..ScanOptions::default() };
    let entries = host.memory.scan(&keys::log_records(), options).unwrap();
    entries.iter().map(|entry| serde_json::from_slice(&entry.value).unwrap()).collect()
}

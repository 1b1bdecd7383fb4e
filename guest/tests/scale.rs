//! What a request costs is counted in keys of the store and in calls of it, so that it is the same on every machine: cost follows
//! what is asked for, not what is there.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::Json;
use scimwell_guest::host::{AuthError, Change, Credentials, Permissions, Principal, Refusal};
use scimwell_guest::http::{Header, Request};
use scimwell_guest::limits;
use scimwell_guest::resource::{Object, Resource};
use scimwell_guest::schema::{REGISTRY, ResourceType};
use scimwell_guest::store::memory::Memory;
use scimwell_guest::store::{
    Check, Entry, Key, KeyRange, Mode, Mutation, Outcome, Reading, ScanOptions, Store, StoreError, Value, keys, repo,
    transact,
};
use scimwell_guest::{Host, handle};
use serde_json::json;

/// Counts the keys that are looked up, walked over or counted, and the calls, of which each is a trip where the store is a database.
#[derive(Clone, Default)]
struct Counted {
    memory: Memory,
    keys: Rc<Cell<u64>>,
    calls: Rc<Cell<u64>>,
    clock: Rc<Cell<u64>>,
}

impl Counted {
    fn charge(&self, keys: u64) {
        self.keys.set(self.keys.get() + keys);
        self.calls.set(self.calls.get() + 1);
    }
}

impl Store for Counted {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.charge(keys.len() as u64);
        self.memory.get(keys)
    }

    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let walked = ScanOptions { skip: 0, limit: u32::MAX, keys_only: true, ..options };
        let there = self.memory.scan(range, walked)?.len() as u64;
        self.charge(there.min(options.skip.saturating_add(options.limit.into())));
        self.memory.scan(range, options)
    }

    fn count(&self, range: &KeyRange) -> Result<u64, StoreError> {
        let count = self.memory.count(range)?;
        self.charge(count);
        Ok(count)
    }

    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
        self.charge(0);
        self.memory.commit(checks, mutations)
    }

    fn read(
        &self,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let reading = self.memory.read(keys, ranges, options, follow)?;
        let entries: usize = reading.entries.iter().map(Vec::len).sum();
        self.charge((keys.len() + entries * (1 + follow.len())) as u64);
        Ok(reading)
    }
}

impl Host for Counted {
    type Store = Self;

    fn authenticate(&self, _credentials: &Credentials) -> Result<Principal, AuthError> {
        let permissions = Permissions { read: true, write: true, admin: true };
        Ok(Principal { tenant: "default".into(), subject: "token".into(), permissions })
    }

    fn open(&self, _tenant: &str) -> Result<Self, StoreError> {
        Ok(self.clone())
    }

    fn review(&self, _change: &Change) -> Result<(), Refusal> {
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        1_700_000_000_000 + self.clock.get()
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.clock.get()).to_le_bytes()
    }
}

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").unwrap()
}

/// So many users, created at some 8,000 a second.
fn users(number: usize) -> Counted {
    let host = Counted::default();
    for first in (0..number).step_by(500) {
        let written = transact(&host.memory, Mode::Commit, |txn| {
            for i in first..number.min(first + 500) {
                let time = 1_600_000_000_000 + i as u64 / 8;
                let hex = format!("{time:012x}");
                let attributes = json!({ "userName": format!("user{i:06}@example.com"), "displayName": format!("User {}", i % 100) });
                let Json::Object(attributes) = attributes else { unreachable!() };
                let id = format!("{}-{}-7000-8000-{i:012x}", &hex[..8], &hex[8..]);
                let attributes: Object = attributes;
                repo::write(
                    txn,
                    user(),
                    None,
                    &Resource { id, attributes, created: time, modified: time, revision: 1 },
                )?;
            }
            Ok(())
        });
        assert_eq!(written, Ok(()));
    }
    host
}

fn send(host: &Counted, method: &str, target: &str, body: &str) -> Json {
    let headers = vec![Header::new("authorization", "Bearer T"), Header::new("content-type", "application/scim+json")];
    let (method, target, body) = (method.into(), target.into(), body.into());
    let response = handle(host, &Request { method, target, headers, body, ..Request::default() });
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// The answer, and how many keys it took.
fn cost(host: &Counted, target: &str) -> (Json, u64) {
    host.keys.set(0);
    let answer = send(host, "GET", target, "");
    (answer, host.keys.get())
}

#[test]
fn a_page_far_into_a_list_costs_what_the_first_one_does() {
    let host = users(20_000);
    let (page, first) = cost(&host, "/Users?count=100");
    assert_eq!(page["totalResults"], 20_000);
    for start in [2, 301, 5_000, 10_101, 19_901] {
        let (page, keys) = cost(&host, &format!("/Users?count=100&startIndex={start}"));
        assert_eq!(page["Resources"][0]["userName"], format!("user{:06}@example.com", start - 1));
        assert_eq!(page["itemsPerPage"], 100);
        // What is passed over one by one was created in the same quarter of a second.
        assert!(keys < first + 2_500, "startIndex {start} took {keys} keys, the first page {first}");
    }
}

/// What a search finds, and how many keys it took.
fn check(host: &Counted, query: &str, total: u64, first: &str, most: u64) {
    let (page, keys) = cost(host, &format!("/Users?count=10&attributes=userName&{query}"));
    assert_eq!((&page["totalResults"], &page["Resources"][0]["userName"]), (&json!(total), &json!(first)), "{query}");
    assert!(keys <= most, "{query} took {keys} keys");
}

#[test]
fn a_search_costs_what_it_finds() {
    let host = users(20_000);
    let user = |i: usize| format!("user{i:06}@example.com");
    check(&host, "filter=userName%20eq%20%22USER012345@example.com%22", 1, &user(12_345), 10);
    let many: Vec<String> = (0..50).map(|i| format!("userName%20eq%20%22{}%22", user(i * 300))).collect();
    check(&host, &format!("filter={}", many.join("%20or%20")), 50, &user(0), 200);
    check(&host, "filter=userName%20sw%20%22user0123%22", 100, &user(12_300), 400);
    check(
        &host,
        "filter=userName%20ge%20%22user0123%22%20and%20userName%20lt%20%22user0124%22",
        100,
        &user(12_300),
        700,
    );
    // The rarer of two, and the other is tested.
    check(
        &host,
        "filter=displayName%20eq%20%22user%207%22%20and%20userName%20sw%20%22user0123%22",
        1,
        &user(12_307),
        1_000,
    );
    check(&host, "filter=displayName%20eq%20%22User%207%22", 200, &user(7), 300);
    check(&host, "filter=displayName%20eq%20%22User%207%22&startIndex=101", 200, &user(10_007), 500);
    // Nearly all match: their number is a count of keys, and the page the first documents.
    check(&host, "filter=userName%20gt%20%22user000001%22", 19_999, &user(1), 40_000);
}

#[test]
fn a_page_by_cursor_does_not_wait_for_the_total() {
    let host = users(20_000);
    let query = "/Users?count=10&attributes=userName&filter=userName%20co%20%22user%22";
    let (page, keys) = cost(&host, &format!("{query}&cursor"));
    assert_eq!((page.get("totalResults"), &page["itemsPerPage"]), (None, &json!(10)));
    assert!(page["nextCursor"].is_string() && keys < 30_000, "{keys} keys");
    assert_eq!(cost(&host, query).0["totalResults"], 20_000);
}

#[test]
fn a_sorted_page_costs_what_it_shows() {
    let host = users(20_000);
    let user = |i: usize| format!("user{i:06}@example.com");
    check(&host, "sortBy=userName", 20_000, &user(0), 100);
    check(&host, "sortBy=userName&sortOrder=descending", 20_000, &user(19_999), 100);
    check(&host, "sortBy=meta.lastModified&sortOrder=descending", 20_000, &user(19_992), 100);
    check(&host, "sortBy=displayName&sortOrder=descending", 20_000, &user(99), 100);
    check(&host, "sortBy=displayName&sortOrder=descending&startIndex=401", 20_000, &user(97), 1_500);
    check(&host, "sortBy=externalId", 20_000, &user(0), 100);
    check(&host, "sortBy=externalId&sortOrder=descending", 20_000, &user(0), 100);
    // A filter on what the list is sorted by is a part of the same index.
    check(
        &host,
        "sortBy=userName&sortOrder=descending&filter=userName%20sw%20%22user01%22",
        10_000,
        &user(19_999),
        10_200,
    );
    check(&host, "sortBy=userName&filter=meta.lastModified%20pr", 20_000, &user(0), 60_000);
}

/// A group with more members than one answer takes, the first of whom is the user that there is.
fn large_group() -> (Counted, String, String) {
    let host = users(1);
    let user = send(&host, "GET", "/Users", "")["Resources"][0]["id"].as_str().unwrap().to_owned();
    let group = send(&host, "POST", "/Groups", r#"{ "displayName": "everybody" }"#)["id"].as_str().unwrap().to_owned();
    let many = limits::SHOWN_MEMBERS + 1;
    let member = |i: u64| if i == 0 { user.clone() } else { format!("{i:036}") };
    let edge = |i: u64| {
        let (there, back) = (keys::member(&group, &member(i)), keys::membership(&member(i), &group));
        [Mutation::Put(there, b"User\0somebody".to_vec()), Mutation::Put(back, Vec::new())]
    };
    let mut edges: Vec<Mutation> = (0..many).flat_map(edge).collect();
    edges.push(Mutation::Add(keys::member_count(&group), many.cast_signed()));
    host.memory.commit(&[], &edges).unwrap();
    (host, user, group)
}

#[test]
fn a_group_too_large_for_an_answer_is_refused_and_never_cut_short() {
    let (host, user, group) = large_group();
    let target = format!("/Groups/{group}");
    let (refused, keys) = cost(&host, &target);
    assert_eq!((&refused["status"], &refused["scimType"]), (&json!("400"), &json!("tooMany")));
    assert!(refused["detail"].as_str().unwrap().contains("excludedAttributes=members"), "{refused}");
    assert!(keys < 2_000, "{keys} keys were read to refuse");
    assert_eq!(cost(&host, "/Groups").0["scimType"], "tooMany");
    // What doesn't need them all costs what it does in a group of ten.
    for query in ["excludedAttributes=members", "attributes=displayName"] {
        let (shown, keys) = cost(&host, &format!("{target}?{query}"));
        assert_eq!(shown["displayName"], "everybody");
        assert!(keys < 10, "{query} took {keys} keys");
    }
    let filter = format!("id%20eq%20%22{group}%22%20and%20members%20eq%20%22{user}%22");
    let (found, keys) = cost(&host, &format!("/Groups?excludedAttributes=members&filter={filter}"));
    assert_eq!(found["totalResults"], 1);
    assert!(keys < 20, "{keys} keys");
    let patch = format!(r#"{{ "Operations": [{{ "op": "remove", "path": "members[value eq \"{user}\"]" }}] }}"#);
    host.keys.set(0);
    send(&host, "PATCH", &target, &patch);
    assert!(host.keys.get() < 30, "{} keys", host.keys.get());
    assert_eq!(cost(&host, &format!("/Groups?excludedAttributes=members&filter={filter}")).0["totalResults"], 0);
    // A replacement that takes out too many is refused, with nothing done.
    let members = || host.memory.count(&keys::members(&group)).unwrap();
    let before = members();
    let body = format!(r#"{{ "displayName": "everybody", "members": [{{ "value": "{user}" }}] }}"#);
    let refused = send(&host, "PUT", &format!("/Groups/{group}?excludedAttributes=members"), &body);
    assert_eq!(refused["scimType"], "tooMany", "{refused}");
    assert_eq!(members(), before);
}

#[test]
fn what_identity_providers_do_all_day_takes_few_calls_of_the_store() {
    let host = users(10);
    let calls = |method: &str, target: &str, body: Json| {
        let before = host.calls.get();
        let answer = send(&host, method, target, &body.to_string());
        (answer, host.calls.get() - before)
    };
    let search = |name: &str| format!("/Users?filter=userName%20eq%20%22{name}%22");
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    let body = json!({ "schemas": schemas, "userName": "new@example.com", "externalId": "E-1" });

    // Is she there? What leads to her is read with the configuration, and no more is needed to know that she isn't.
    let (page, read) = calls("GET", &search("new@example.com"), Json::Null);
    assert_eq!((&page["totalResults"], read), (&json!(0), 1));
    // The configuration; whether her name is free; the commit.
    let (created, written) = calls("POST", "/Users", body);
    assert_eq!((&created["userName"], written), (&json!("new@example.com"), 3));
    let id = created["id"].as_str().unwrap().to_owned();
    let user = format!("/Users/{id}");
    for found in [search("new@example.com"), "/Users?filter=externalId%20eq%20%22E-1%22".to_owned()] {
        let (page, read) = calls("GET", &found, Json::Null);
        assert_eq!((&page["Resources"][0]["id"], read), (&json!(id), 2), "{found}");
    }
    assert_eq!(calls("GET", &user, Json::Null).1, 1);
    let operations = json!([{ "op": "replace", "path": "title", "value": "New" }]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    let (patched, written) = calls("PATCH", &user, patch);
    assert_eq!((&patched["title"], written), (&json!("New"), 2));
}

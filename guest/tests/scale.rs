//! What a request costs is counted in keys of the store, so that it is the same on every machine: cost follows what is asked
//! for, not what is there.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::Json;
use scimwell_guest::host::{AuthError, Change, Credentials, Permissions, Principal, Refusal};
use scimwell_guest::http::{Header, Request};
use scimwell_guest::resource::{Object, Resource};
use scimwell_guest::schema::{REGISTRY, ResourceType};
use scimwell_guest::store::memory::Memory;
use scimwell_guest::store::{
    Check, Entry, Key, KeyRange, Mode, Mutation, Outcome, ScanOptions, Store, StoreError, Value, repo, transact,
};
use scimwell_guest::{Host, handle};
use serde_json::json;

/// Counts the keys that are looked up, walked over or counted.
#[derive(Clone, Default)]
struct Counted {
    memory: Memory,
    keys: Rc<Cell<u64>>,
    clock: Rc<Cell<u64>>,
}

impl Counted {
    fn charge(&self, keys: u64) {
        self.keys.set(self.keys.get() + keys);
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
        self.memory.commit(checks, mutations)
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

/// The answer, and how many keys it took.
fn cost(host: &Counted, target: &str) -> (Json, u64) {
    host.keys.set(0);
    let headers = vec![Header::new("authorization", "Bearer T")];
    let request = Request { method: "GET".into(), target: target.into(), headers, ..Request::default() };
    let response = handle(host, &request);
    (serde_json::from_slice(&response.body).unwrap(), host.keys.get())
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

//! The component's side of the core: its imports as a [`Host`], its records as requests and responses.
//!
//! With the two shells, this is the only file that names wit-bindgen.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::{self, Host};
use crate::http::{Header, Request, Response};
use crate::resource::Timestamp;
use crate::store::log::Operation;
use crate::store::replies;
use crate::store::{self, Check, Entry, Key, KeyRange, Mutation, Outcome, Reading, ScanOptions, StoreError, Value};

mod libc;

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({ path: "../wit", world: "scimwell:provider/imports" });
}

pub use bindings::scimwell::provider::{authenticator, policy, storage};

/// The world's imports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Imports;

/// Answer one request with what the world imports.
pub fn handle(request: &Request) -> Response {
    crate::handle(&Imports, request)
}

impl Host for Imports {
    type Store = storage::Store;

    fn authenticate(&self, credentials: &host::Credentials) -> Result<host::Principal, host::AuthError> {
        let offered = authenticator::Credentials {
            authorization: credentials.authorization.clone(),
            tenant_hint: credentials.tenant_hint.clone(),
            client_certificate_subject: credentials.client_certificate_subject.clone(),
            remote_address: credentials.remote_address.clone(),
        };
        match authenticator::authenticate(&offered) {
            // That name is for what is no tenant's: whoever grants it is mistaken.
            Ok(principal) if principal.tenant.is_empty() => Err(host::AuthError::Unavailable(
                "authenticator.authenticate grants a tenant with an empty name".to_owned(),
            )),
            Ok(principal) => Ok(host::Principal {
                permissions: host::Permissions {
                    read: principal.permissions.contains(authenticator::Permissions::READ),
                    write: principal.permissions.contains(authenticator::Permissions::WRITE),
                    admin: principal.permissions.contains(authenticator::Permissions::ADMIN),
                },
                tenant: principal.tenant,
                subject: principal.subject,
            }),
            Err(error) => Err(match error {
                authenticator::AuthError::Unauthenticated => host::AuthError::Unauthenticated,
                authenticator::AuthError::Forbidden => host::AuthError::Forbidden,
                authenticator::AuthError::RateLimited(seconds) => host::AuthError::RateLimited(seconds),
                authenticator::AuthError::Unavailable(why) => {
                    host::AuthError::Unavailable(format!("authenticator.authenticate could not decide: {why}"))
                }
            }),
        }
    }

    fn open(&self, tenant: &str) -> Result<storage::Store, StoreError> {
        storage::open(tenant).map_err(|error| replies::failed("storage.open", error.into()))
    }

    fn review(&self, change: &host::Change) -> Result<(), host::Refusal> {
        let change = policy::Change {
            tenant: change.tenant.clone(),
            subject: change.subject.clone(),
            operation: match change.operation {
                Operation::Create => policy::Operation::Create,
                Operation::Replace => policy::Operation::Replace,
                Operation::Patch => policy::Operation::Patch,
                Operation::Delete => policy::Operation::Delete,
            },
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        };
        policy::review(&change).map_err(|refusal| host::Refusal {
            status: refusal.status,
            scim_type: refusal.scim_type,
            detail: refusal.detail,
        })
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // wasi:random can't fail; a trap beats a predictable id.
        getrandom::fill(&mut bytes).expect("random bytes");
        bytes
    }
}

impl store::Store for storage::Store {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let values = storage::Store::get(self, keys).map_err(|error| replies::failed("storage.get", error.into()))?;
        replies::values("storage.get", keys, values)
    }

    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let entries = storage::Store::scan(self, &range_of(range), options_of(options))
            .map_err(|error| replies::failed("storage.scan", error.into()))?;
        replies::entries("storage.scan", range, options, entries_of(entries))
    }

    fn read(
        &self,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let told: Vec<_> = ranges.iter().map(range_of).collect();
        let storage::Reading { values, entries, followed } =
            storage::Store::read(self, keys, &told, options_of(options), follow)
                .map_err(|error| replies::failed("storage.read", error.into()))?;
        let entries = entries.into_iter().map(entries_of).collect();
        replies::reading(keys, ranges, options, follow, Reading { values, entries, followed })
    }

    fn count(&self, range: &KeyRange) -> Result<u64, StoreError> {
        storage::Store::count(self, &range_of(range)).map_err(|error| replies::failed("storage.count", error.into()))
    }

    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
        let told: Vec<_> =
            checks.iter().map(|c| storage::Check { key: c.key.clone(), expected: c.expected.clone() }).collect();
        let mutations: Vec<_> = mutations.iter().map(mutation).collect();
        let outcome = storage::Store::commit(self, &told, &mutations)
            .map_err(|error| replies::failed("storage.commit", error.into()))?;
        let outcome = match outcome {
            storage::Outcome::Committed => Outcome::Committed,
            storage::Outcome::Conflict => Outcome::Conflict,
        };
        replies::outcome(checks, outcome)
    }
}

fn entries_of(entries: Vec<storage::Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry| Entry { key: entry.key, value: entry.value }).collect()
}

fn options_of(options: ScanOptions) -> storage::ScanOptions {
    let ScanOptions { reverse, keys_only, skip, limit } = options;
    storage::ScanOptions { reverse, keys_only, skip, limit }
}

fn range_of(range: &KeyRange) -> storage::KeyRange {
    storage::KeyRange { start: range.start.clone(), end: range.end.clone() }
}

fn mutation(mutation: &Mutation) -> storage::Mutation {
    match mutation.clone() {
        Mutation::Put(key, value) => storage::Mutation::Put(storage::Entry { key, value }),
        Mutation::Delete(key) => storage::Mutation::Delete(key),
        Mutation::DeleteRange(range) => storage::Mutation::DeleteRange(range_of(&range)),
        Mutation::Add(key, by) => storage::Mutation::Add(storage::Increment { key, by }),
        Mutation::Append(prefix, value) => storage::Mutation::Append(storage::LogEntry { prefix, value }),
    }
}

impl From<storage::StoreError> for StoreError {
    fn from(error: storage::StoreError) -> Self {
        match error {
            storage::StoreError::AccessDenied => Self::AccessDenied,
            storage::StoreError::TooLarge => Self::TooLarge,
            storage::StoreError::Unavailable(why) => Self::Unavailable(why),
            storage::StoreError::Other(why) => Self::Other(why),
        }
    }
}

/// A header field whose name is in lower case, its value as UTF-8 or else as ISO 8859-1.
pub fn header(name: &str, value: Vec<u8>) -> Header {
    let value =
        String::from_utf8(value).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
    Header::new(name.to_ascii_lowercase(), value)
}

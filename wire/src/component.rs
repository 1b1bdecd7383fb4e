//! The exports: each call is one request to the application, failures are logged, and a store is open for no tenant but the
//! one granted.

use scimwell_adapter::bindings::exports::scimwell::provider::{authenticator, policy, settings, storage};
use scimwell_adapter::http::{Post, Unanswered, post};
use scimwell_adapter::settings::Settings;
use scimwell_adapter::url::{Url, base_url};
use scimwell_adapter::{callout, grant, tokens};

use crate::settings::{Environment, timeout};
use crate::{storage as wire, who};

/// A host of wasi:http keeps a component's standard error in its log.
fn log(what: &str, why: &str) {
    eprintln!("scimwell: {what}: {why}");
}

/// What is wrong with a setting, by its name.
fn named(name: &str, why: &str) -> String {
    format!("{}: {why}", Environment.called(name))
}

struct Adapter;

impl authenticator::Guest for Adapter {
    fn authenticate(
        credentials: authenticator::Credentials,
    ) -> Result<authenticator::Principal, authenticator::AuthError> {
        grant::decided(|| decide(&credentials), |why| log("authenticator: nobody can be let in", why))
    }
}

/// By the application, where it is to be asked; else by the tokens.
fn decide(credentials: &authenticator::Credentials) -> Result<authenticator::Principal, authenticator::AuthError> {
    let setting = |name| Environment.get(name).map_err(authenticator::AuthError::Unavailable);
    let url = setting("authenticate_url")?;
    if url.is_empty() {
        return tokens::authenticate(&Environment, credentials);
    }
    if !setting("token")?.is_empty() || !setting("tokens")?.is_empty() {
        let why = "it and tokens exclude each other: remove SCIMWELL_TOKEN and SCIMWELL_TOKENS";
        return Err(authenticator::AuthError::Unavailable(named("authenticate_url", why)));
    }
    let url =
        Url::configured(&url).map_err(|why| authenticator::AuthError::Unavailable(named("authenticate_url", &why)))?;
    let token = setting("authenticate_token")?;
    let timeout = waits().map_err(authenticator::AuthError::Unavailable)?;
    let body = who::question(credentials)?;
    let asked = post(&Post { url: &url, token: &token, body: &body, timeout, limit: who::ANSWER_BYTES });
    let (status, body) = asked.map_err(|error| authenticator::AuthError::Unavailable(error.words()))?;
    who::principal(status, &body)
}

/// How long to wait for the storage and the authenticator, in nanoseconds.
fn waits() -> Result<u64, String> {
    timeout(&Environment.get("storage_timeout")?).map_err(|why| named("storage_timeout", &why))
}

impl policy::Guest for Adapter {
    fn review(change: policy::Change) -> Result<(), policy::Refusal> {
        callout::review(&Environment, &change, |_| String::new(), |why| log("policy.review", why))
    }
}

impl settings::Guest for Adapter {
    fn base_url() -> Option<String> {
        base_url(&Environment, log)
    }
}

/// Where the storage is asked.
struct Asked {
    url: Url,
    token: String,
    timeout: u64,
}

impl Asked {
    fn configured() -> Result<Self, String> {
        let url = match Environment.get("storage_url")? {
            url if url.is_empty() => return Err(named("storage_url", "it is not set: where is the storage?")),
            url => Url::configured(&url).map_err(|why| named("storage_url", &why))?,
        };
        Ok(Self { url, token: Environment.get("storage_token")?, timeout: waits()? })
    }

    fn post(&self, call: &str, body: &[u8]) -> Result<Vec<u8>, storage::StoreError> {
        let url = self.url.below(call);
        let (token, timeout) = (&self.token, self.timeout);
        let answer = post(&Post { url: &url, token, body, timeout, limit: wire::ANSWER_BYTES });
        let (status, body) = answer.map_err(|unanswered| match unanswered {
            Unanswered::Unreached(why) => storage::StoreError::Unavailable(why),
            Unanswered::Unsendable(why) | Unanswered::TooLong(why) => storage::StoreError::Other(why),
        })?;
        wire::answered(status, &body)?;
        Ok(body)
    }
}

/// The line for a failure of a call.
fn failed(call: &str, url: &Url, error: &storage::StoreError) {
    let url = url.below(call);
    let what = format!("storage.{call} at {}{}", url.origin(), url.target);
    match error {
        storage::StoreError::AccessDenied => log(&what, "it answers 403: this tenant is refused"),
        storage::StoreError::Unavailable(why) | storage::StoreError::Other(why) => log(&what, why),
        // The client is told to send less: nothing is broken.
        storage::StoreError::TooLarge => {}
    }
}

impl storage::Guest for Adapter {
    type Store = TenantStore;

    fn open(tenant: String) -> Result<storage::Store, storage::StoreError> {
        let grant = grant::of(&tenant).ok_or(storage::StoreError::AccessDenied)?;
        let asked = Asked::configured().map_err(|why| {
            log("storage.open", &why);
            storage::StoreError::Other(why)
        })?;
        Ok(storage::Store::new(TenantStore { tenant, grant, asked }))
    }
}

/// A tenant's store, for as long as its grant is the latest.
struct TenantStore {
    tenant: String,
    grant: u64,
    asked: Asked,
}

impl TenantStore {
    /// Asks the storage for `call` if the grant holds, and reads its answer.
    fn ask<T>(
        &self,
        call: &str,
        body: impl FnOnce(&str) -> Result<Vec<u8>, storage::StoreError>,
        answer: impl FnOnce(&[u8]) -> Result<T, storage::StoreError>,
    ) -> Result<T, storage::StoreError> {
        if !grant::is_latest(self.grant) {
            return Err(storage::StoreError::AccessDenied);
        }
        let answered = body(&self.tenant).and_then(|body| self.asked.post(call, &body)).and_then(|body| answer(&body));
        answered.inspect_err(|error| failed(call, &self.asked.url, error))
    }

    fn read_all(
        &self,
        keys: &[storage::Key],
        ranges: &[storage::KeyRange],
        options: storage::ScanOptions,
        follow: &[storage::Key],
    ) -> Result<storage::Reading, storage::StoreError> {
        self.ask(
            "read",
            |tenant| wire::read(tenant, keys, ranges, options, follow),
            |answer| wire::reading(answer, keys, ranges, options, follow),
        )
    }
}

impl storage::GuestStore for TenantStore {
    fn get(&self, keys: Vec<storage::Key>) -> Result<Vec<Option<storage::Value>>, storage::StoreError> {
        let none = storage::ScanOptions { reverse: false, keys_only: false, skip: 0, limit: 0 };
        Ok(self.read_all(&keys, &[], none, &[])?.values)
    }

    fn scan(
        &self,
        range: storage::KeyRange,
        options: storage::ScanOptions,
    ) -> Result<Vec<storage::Entry>, storage::StoreError> {
        Ok(self.read_all(&[], &[range], options, &[])?.entries.pop().unwrap_or_default())
    }

    fn read(
        &self,
        keys: Vec<storage::Key>,
        ranges: Vec<storage::KeyRange>,
        options: storage::ScanOptions,
        follow: Vec<storage::Key>,
    ) -> Result<storage::Reading, storage::StoreError> {
        self.read_all(&keys, &ranges, options, &follow)
    }

    fn count(&self, range: storage::KeyRange) -> Result<u64, storage::StoreError> {
        self.ask("count", |tenant| wire::count(tenant, &range), wire::counted)
    }

    fn commit(
        &self,
        checks: Vec<storage::Check>,
        mutations: Vec<storage::Mutation>,
    ) -> Result<storage::Outcome, storage::StoreError> {
        self.ask("commit", |tenant| wire::commit(tenant, &checks, &mutations), |answer| wire::outcome(answer, &checks))
    }
}

mod exported {
    #![allow(unreachable_pub, reason = "generated from wit/")]
    use super::Adapter;

    scimwell_adapter::bindings::export!(Adapter with_types_in scimwell_adapter::bindings);
}

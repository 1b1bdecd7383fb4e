//! The imports' types and the host's, one made of the other, and what of a failure crosses the boundary.

use crate::authenticator::{AuthError, Permissions, Principal};
use crate::bindings::scimwell::provider::{authenticator as wit_auth, policy as wit_policy, storage as wit_storage};
use crate::policy::{Operation, Refusal};
use crate::storage::{Entry, KeyRange, Mutation, ScanOptions, StoreError};

/// The guest gets the kind of failure; the log keeps the cause.
pub(super) fn logged(import: &str, tenant: &str, error: &StoreError) -> wit_storage::StoreError {
    tracing::error!(import, tenant, %error, "storage failed");
    match error {
        StoreError::AccessDenied => wit_storage::StoreError::AccessDenied,
        StoreError::TooLarge => wit_storage::StoreError::TooLarge,
        StoreError::Unavailable(_) | StoreError::InUse(_) => wit_storage::StoreError::Unavailable(String::new()),
        StoreError::Other(_) => wit_storage::StoreError::Other(String::new()),
    }
}

pub(super) fn refused(error: AuthError) -> wit_auth::AuthError {
    match error {
        AuthError::Unauthenticated => wit_auth::AuthError::Unauthenticated,
        AuthError::Forbidden => wit_auth::AuthError::Forbidden,
        AuthError::RateLimited(seconds) => wit_auth::AuthError::RateLimited(seconds),
        AuthError::Unavailable(why) => {
            tracing::error!(import = "authenticator.authenticate", why, "the authenticator could not decide");
            wit_auth::AuthError::Unavailable(String::new())
        }
    }
}

impl From<wit_storage::KeyRange> for KeyRange {
    fn from(range: wit_storage::KeyRange) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl From<wit_storage::ScanOptions> for ScanOptions {
    fn from(options: wit_storage::ScanOptions) -> Self {
        let wit_storage::ScanOptions { reverse, keys_only, skip, limit } = options;
        Self { reverse, keys_only, skip, limit }
    }
}

pub(super) fn entries_of(entries: Vec<Entry>) -> Vec<wit_storage::Entry> {
    entries.into_iter().map(|entry| wit_storage::Entry { key: entry.key, value: entry.value }).collect()
}

impl From<wit_storage::Mutation> for Mutation {
    fn from(mutation: wit_storage::Mutation) -> Self {
        match mutation {
            wit_storage::Mutation::Put(entry) => Self::Put(entry.key, entry.value),
            wit_storage::Mutation::Delete(key) => Self::Delete(key),
            wit_storage::Mutation::DeleteRange(range) => Self::DeleteRange(range.into()),
            wit_storage::Mutation::Add(increment) => Self::Add(increment.key, increment.by),
            wit_storage::Mutation::Append(entry) => Self::Append(entry.prefix, entry.value),
        }
    }
}

impl From<Permissions> for wit_auth::Permissions {
    fn from(permissions: Permissions) -> Self {
        [(permissions.read, Self::READ), (permissions.write, Self::WRITE), (permissions.admin, Self::ADMIN)]
            .into_iter()
            .filter_map(|(granted, flag)| granted.then_some(flag))
            .fold(Self::empty(), |flags, flag| flags | flag)
    }
}

impl From<wit_policy::Operation> for Operation {
    fn from(operation: wit_policy::Operation) -> Self {
        match operation {
            wit_policy::Operation::Create => Self::Create,
            wit_policy::Operation::Replace => Self::Replace,
            wit_policy::Operation::Patch => Self::Patch,
            wit_policy::Operation::Delete => Self::Delete,
        }
    }
}

impl From<Refusal> for wit_policy::Refusal {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.status {
            status @ 400..=499 => status,
            status => {
                tracing::warn!(
                    import = "policy.review",
                    status,
                    "the policy refused with a status outside 400 to 499; the client gets 403"
                );
                403
            }
        };
        Self { status, scim_type: refusal.scim_type, detail: refusal.detail }
    }
}

impl From<Principal> for wit_auth::Principal {
    fn from(principal: Principal) -> Self {
        let Principal { tenant, subject, permissions } = principal;
        Self { tenant, subject, permissions: permissions.into() }
    }
}

//! The tenants that exist: records in the host's own key space.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::storage::{Check, MAX_TENANT, Mutation, Storage};

/// The key space of the host's own records; no principal is ever granted it.
pub(crate) const HOST_SPACE: &str = "";

/// A tenant's record, at key `tenant/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name, as URLs and tokens have it.
    pub name: String,
    /// When it was created: seconds since 1970.
    pub created: u64,
}

/// Whether a tenant can have this name: it stands in URLs, keys and log lines as it is.
pub fn is_valid(name: &str) -> bool {
    name.len() <= MAX_TENANT
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Creates the tenant; `false` where it exists already.
pub async fn create(storage: &dyn Storage, name: &str) -> Result<bool> {
    if !is_valid(name) {
        return Err(Error::TenantName(name.to_owned()));
    }
    let key = key(name);
    // Mostly it exists: a read is cheaper than a commit that fails.
    if exists(storage, name).await? {
        return Ok(false);
    }
    let tenant = Tenant { name: name.to_owned(), created: crate::tokens::now() };
    let value =
        serde_json::to_vec(&tenant).map_err(|source| Error::Record { key: format!("tenant/{name}"), source })?;
    let absent = Check { key: key.clone(), expected: None };
    let outcome = storage.commit(HOST_SPACE, vec![absent], vec![Mutation::Put(key, value)]).await?;
    Ok(outcome == crate::storage::Outcome::Committed)
}

/// Whether the tenant exists.
pub async fn exists(storage: &dyn Storage, name: &str) -> Result<bool> {
    let found = storage.get(HOST_SPACE, &[key(name)]).await?;
    Ok(found.first().is_some_and(Option::is_some))
}

fn key(name: &str) -> Vec<u8> {
    format!("tenant/{name}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    #[track_caller]
    fn check(name: &str, expect: bool) {
        assert_eq!(is_valid(name), expect, "{name:?}");
    }

    #[test]
    fn names() {
        check("default", true);
        check("Acme-2.eu_west", true);
        check(&"t".repeat(MAX_TENANT), true);
        check(&"t".repeat(MAX_TENANT + 1), false);
        check("", false);
        check("..", false);
        check("a/b", false);
        check("ü", false);
    }

    #[tokio::test]
    async fn created_once() {
        let storage = Memory::new();
        assert!(!exists(&storage, "acme").await.unwrap());
        assert!(create(&storage, "acme").await.unwrap());
        assert!(!create(&storage, "acme").await.unwrap());
        assert!(exists(&storage, "acme").await.unwrap());
        assert!(matches!(create(&storage, "a b").await, Err(Error::TenantName(_))));
    }
}

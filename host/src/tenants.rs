//! The tenants that exist: records in the host's own key space.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::storage::{Check, KeyRange, MAX_TENANT, Mutation, Outcome, ScanOptions, Storage};

/// The key space of the host's own records; no principal is ever granted it.
pub(crate) const HOST_SPACE: &str = "";

/// The tenant of a server that nobody configured. Its tokens with the permission `admin` are the operator's: they create
/// tenants, and tokens for all of them.
pub const DEFAULT: &str = "default";
/// Where tenants' records are, by name.
const KEYS: &str = "tenant/";
/// The first key beyond them.
const KEYS_END: &str = "tenant0";

/// A tenant's record, at key `tenant/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its name, as URLs and tokens have it.
    pub name: String,
    /// When it was created: seconds since 1970.
    pub created: u64,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
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
    // Mostly it exists: a read is cheaper than a commit that fails.
    if exists(storage, name).await? {
        return Ok(false);
    }
    let tenant = Tenant { name: name.to_owned(), created: crate::tokens::now(), display_name: None };
    replace(storage, &tenant, None).await
}

/// The tenant's record.
pub async fn find(storage: &dyn Storage, name: &str) -> Result<Option<Tenant>> {
    let found = storage.get(HOST_SPACE, &[key(name)]).await?;
    found.into_iter().next().flatten().map(|value| decode(name, &value)).transpose()
}

/// Tenants by name, at most `limit` of them, those after `after`.
pub async fn list(storage: &dyn Storage, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>> {
    // A NUL sorts before whatever a longer name goes on with.
    let start = after.map_or_else(|| KEYS.as_bytes().to_vec(), |name| [&key(name)[..], b"\0"].concat());
    let range = KeyRange { start, end: KEYS_END.as_bytes().to_vec() };
    let entries = storage.scan(HOST_SPACE, &range, ScanOptions { limit, ..ScanOptions::default() }).await?;
    entries
        .iter()
        .map(|entry| decode(&String::from_utf8_lossy(entry.key.get(KEYS.len()..).unwrap_or_default()), &entry.value))
        .collect()
}

/// Changes what people call the tenant; `None` where there is no such tenant.
pub async fn rename(storage: &dyn Storage, name: &str, display_name: Option<String>) -> Result<Option<Tenant>> {
    loop {
        let Some(before) = storage.get(HOST_SPACE, &[key(name)]).await?.into_iter().next().flatten() else {
            return Ok(None);
        };
        let tenant = Tenant { display_name: display_name.clone(), ..decode(name, &before)? };
        if replace(storage, &tenant, Some(before)).await? {
            return Ok(Some(tenant));
        }
    }
}

/// Writes the record, unless it is no longer what it was.
async fn replace(storage: &dyn Storage, tenant: &Tenant, expected: Option<Vec<u8>>) -> Result<bool> {
    let key = key(&tenant.name);
    let value =
        serde_json::to_vec(tenant).map_err(|source| Error::Record { key: format!("{KEYS}{}", tenant.name), source })?;
    let check = Check { key: key.clone(), expected };
    let outcome = storage.commit(HOST_SPACE, vec![check], vec![Mutation::Put(key, value)]).await?;
    Ok(outcome == Outcome::Committed)
}

fn decode(name: &str, value: &[u8]) -> Result<Tenant> {
    serde_json::from_slice(value).map_err(|source| Error::Record { key: format!("{KEYS}{name}"), source })
}

/// Whether the tenant exists.
pub async fn exists(storage: &dyn Storage, name: &str) -> Result<bool> {
    let found = storage.get(HOST_SPACE, &[key(name)]).await?;
    Ok(found.first().is_some_and(Option::is_some))
}

fn key(name: &str) -> Vec<u8> {
    format!("{KEYS}{name}").into_bytes()
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

    #[tokio::test]
    async fn listed_in_pages() {
        let storage = Memory::new();
        for name in ["b", "a-1", "a", "a.b", "ab"] {
            create(&storage, name).await.unwrap();
        }
        let mut names = Vec::new();
        loop {
            let page = list(&storage, names.last().map(String::as_str), 2).await.unwrap();
            let ended = page.len() < 2;
            names.extend(page.into_iter().map(|tenant| tenant.name));
            if ended {
                break;
            }
        }
        assert_eq!(names, ["a", "a-1", "a.b", "ab", "b"]);
    }

    #[tokio::test]
    async fn renamed() {
        let storage = Memory::new();
        assert_eq!(rename(&storage, "acme", None).await.unwrap(), None);
        create(&storage, "acme").await.unwrap();
        let renamed = rename(&storage, "acme", Some("Acme Inc.".to_owned())).await.unwrap();
        assert_eq!(find(&storage, "acme").await.unwrap(), renamed);
        assert_eq!(renamed.unwrap().display_name.as_deref(), Some("Acme Inc."));
    }
}

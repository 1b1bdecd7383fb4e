//! How far each tenant's log is delivered: `change-position/<tenant>` in the host's own key space, the sequence number of the
//! last record that the handler has taken over (8 bytes, big-endian).
//!
//! The key is there before the tenant's first commit: at a start, these keys are the tenants whose logs to look at.

use crate::error::{Error, Result};
use crate::storage::{Check, KeyRange, Mutation, Outcome, ScanOptions, Storage, StoreError};
use crate::tenants::HOST_SPACE;

const KEYS: &str = "change-position/";
/// The first key beyond them.
const KEYS_END: &str = "change-position0";

/// The position of a tenant; `None` where nobody follows its log yet.
pub(super) async fn read(storage: &dyn Storage, tenant: &str) -> Result<Option<u64>> {
    let found = storage.get(HOST_SPACE, &[key(tenant)]).await?.into_iter().next().flatten();
    found.map(|value| decode(tenant, &value)).transpose()
}

/// Moves a tenant's position forward, never back: another process may be further.
pub(super) async fn advance(storage: &dyn Storage, tenant: &str, to: u64) -> Result<()> {
    let key = key(tenant);
    loop {
        let before = storage.get(HOST_SPACE, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        if let Some(value) = &before
            && decode(tenant, value)? >= to
        {
            return Ok(());
        }
        let unchanged = Check { key: key.clone(), expected: before };
        let put = Mutation::Put(key.clone(), to.to_be_bytes().to_vec());
        if storage.commit(HOST_SPACE, vec![unchanged], vec![put]).await? == Outcome::Committed {
            return Ok(());
        }
    }
}

/// Notes that the tenant's log is followed, from its beginning where it was not.
pub(super) async fn follow(storage: &dyn Storage, tenant: &str) -> Result<(), StoreError> {
    let key = key(tenant);
    if storage.get(HOST_SPACE, std::slice::from_ref(&key)).await?.iter().all(Option::is_some) {
        return Ok(());
    }
    let absent = Check { key: key.clone(), expected: None };
    let put = Mutation::Put(key, 0_u64.to_be_bytes().to_vec());
    // A conflict is another process that does the same.
    storage.commit(HOST_SPACE, vec![absent], vec![put]).await?;
    Ok(())
}

/// Tenants whose logs are followed, by name, at most `limit` of them, those after `after`.
pub(super) async fn tenants(storage: &dyn Storage, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
    // A NUL sorts before whatever a longer name goes on with.
    let start = after.map_or_else(|| KEYS.as_bytes().to_vec(), |tenant| [&key(tenant)[..], b"\0"].concat());
    let range = KeyRange { start, end: KEYS_END.as_bytes().to_vec() };
    let options = ScanOptions { keys_only: true, limit, ..ScanOptions::default() };
    let entries = storage.scan(HOST_SPACE, &range, options).await?;
    let name = |key: &[u8]| String::from_utf8_lossy(key.get(KEYS.len()..).unwrap_or_default()).into_owned();
    Ok(entries.iter().map(|entry| name(&entry.key)).collect())
}

fn key(tenant: &str) -> Vec<u8> {
    format!("{KEYS}{tenant}").into_bytes()
}

fn decode(tenant: &str, value: &[u8]) -> Result<u64> {
    let bytes = value.try_into().map_err(|_| Error::Log {
        tenant: tenant.to_owned(),
        detail: format!("the record of how far it is delivered has {} bytes instead of 8", value.len()),
    })?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    #[tokio::test]
    async fn a_position_is_followed_and_never_goes_back() {
        let storage = Memory::new();
        assert_eq!(read(&storage, "a").await.unwrap(), None);
        follow(&storage, "a").await.unwrap();
        assert_eq!(read(&storage, "a").await.unwrap(), Some(0));
        for (to, expect) in [(7, 7), (3, 7), (8, 8)] {
            advance(&storage, "a", to).await.unwrap();
            assert_eq!(read(&storage, "a").await.unwrap(), Some(expect));
        }
        follow(&storage, "a").await.unwrap();
        assert_eq!(read(&storage, "a").await.unwrap(), Some(8));
    }

    #[tokio::test]
    async fn tenants_in_pages() {
        let storage = Memory::new();
        for tenant in ["b", "a", "a-b", "c"] {
            follow(&storage, tenant).await.unwrap();
        }
        assert_eq!(tenants(&storage, None, 2).await.unwrap(), ["a", "a-b"]);
        assert_eq!(tenants(&storage, Some("a"), 2).await.unwrap(), ["a-b", "b"]);
        assert_eq!(tenants(&storage, Some("b"), 2).await.unwrap(), ["c"]);
    }
}

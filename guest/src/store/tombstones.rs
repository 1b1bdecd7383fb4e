//! What is left of a deleted resource where the tenant wants it restored should it be created again.
//!
//! A tombstone holds the id, the revision, when it was deleted, and digests of the values that it may be found by: nothing
//! that tells who it was, only whether it was somebody whose name is known already. It goes when the resource is restored, and
//! when the tenant's time for that is over.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::{Resource, Timestamp};
use crate::schema::ResourceType;

use super::identity::{Identity, identities};
use super::keys::{self, Digest};
use super::{Mode, Read, Store, Txn, sweep, transact};

/// A deleted resource that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its id.
    pub id: String,
    /// Its last revision: a version must never come twice.
    pub revision: u64,
}

/// As stored under [`keys::tombstone`].
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    time: Timestamp,
    revision: u64,
    values: Vec<Digest>,
}

/// Remember a resource that is being deleted. Of several that had one value, the last counts.
pub fn bury<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    old: &Resource,
    now: Timestamp,
) -> Result<()> {
    let identities = identities(resource_type, &old.attributes);
    let values: Vec<Digest> = identities.iter().map(|identity| identity.digest(resource_type)).collect();
    for value in &values {
        txn.put(keys::former_holder(value), old.id.clone().into_bytes());
    }
    let stored = Stored { time: now, revision: old.revision, values };
    let stored = serde_json::to_vec(&stored).map_err(|error| {
        ScimError::new(ErrorKind::Internal, "The server failed to store a resource.").with_log(error.to_string())
    })?;
    txn.put(keys::tombstone(&old.id), stored);
    sweep::mark(txn, keys::tombstone_time(now, &old.id));
    Ok(())
}

/// The resource that had this value and was deleted at `since` or later. It must be so at the commit.
pub fn find<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    identity: &Identity<'_>,
    since: Timestamp,
) -> Result<Option<Tombstone>> {
    let Some(id) = txn.read_one(&keys::former_holder(&identity.digest(resource_type)))? else { return Ok(None) };
    let id = String::from_utf8_lossy(&id).into_owned();
    let Some(stored) = read(txn, &id)? else { return Ok(None) };
    Ok((stored.time >= since).then_some(Tombstone { id, revision: stored.revision }))
}

/// Forget the resource with this id.
pub fn forget<S: Store>(txn: &mut Txn<'_, S>, id: &str) -> Result<()> {
    let Some(stored) = read(txn, id)? else { return Ok(()) };
    for value in &stored.values {
        // Another may have had the value since.
        let key = keys::former_holder(value);
        if txn.read_one(&key)?.as_deref() == Some(id.as_bytes()) {
            txn.delete(key);
        }
    }
    txn.delete(keys::tombstone(id));
    txn.delete(keys::tombstone_time(stored.time, id));
    Ok(())
}

/// Forget up to [`limits::SWEEP_TOMBSTONES`] resources that were deleted before `since`. Returns whether there were any.
pub fn sweep<S: Store>(store: &S, since: Timestamp) -> Result<bool> {
    let due = store.entries(&keys::tombstones_before(since), true, limits::SWEEP_TOMBSTONES)?;
    if due.is_empty() {
        return Ok(false);
    }
    transact(store, Mode::Commit, |txn| {
        for entry in &due {
            let Some((_, id)) = keys::tombstone_id(&entry.key) else { continue };
            // It may have been restored, and deleted again, since it was seen.
            if txn.read_one(&entry.key)?.is_some() {
                forget(txn, id)?;
            }
        }
        Ok(true)
    })
}

fn read<S: Store>(txn: &mut Txn<'_, S>, id: &str) -> Result<Option<Stored>> {
    let Some(bytes) = txn.read_one(&keys::tombstone(id))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        ScimError::new(ErrorKind::Internal, "The server failed to read what it keeps of a deleted resource.")
            .with_log(format!("tombstone {id}: {error}"))
    })
}

//! Maintenance in bounded steps: edges of resources that were deleted with too many of them to remove at once.
//!
//! There is no background process: each write that finds some gives one step.

use crate::error::Result;
use crate::limits;

use super::{Mode, Read, Store, counter, edges, keys, transact};

/// Remove up to [`limits::SWEEP_EDGES`] edges of one deleted resource. Returns whether there was anything to do.
pub fn step<S: Store>(store: &S) -> Result<bool> {
    let Some(entry) = store.entries(&keys::all_gone(), true, 1)?.pop() else { return Ok(false) };
    let id = keys::last_part(&entry.key);
    transact(store, Mode::Commit, |txn| {
        // Two sweepers meet on this key; the second starts again on what is left.
        let Some(round) = txn.read_one(&keys::gone(&id))? else { return Ok(true) };
        let members = store.entries(&keys::members(&id), true, limits::SWEEP_EDGES)?;
        for entry in &members {
            let member = keys::last_part(&entry.key);
            txn.delete(entry.key.clone());
            txn.delete(keys::membership(&member, &id));
            txn.add(keys::edge_revision(&member), 1);
        }
        let left = limits::SWEEP_EDGES - u32::try_from(members.len()).unwrap_or(limits::SWEEP_EDGES);
        let holders = store.entries(&keys::memberships(&id), true, left)?;
        for entry in &holders {
            let holder = keys::last_part(&entry.key);
            txn.delete(entry.key.clone());
            txn.delete(keys::member(&holder, &id));
            txn.add(keys::member_count(&holder), -1);
            txn.add(keys::edge_revision(&holder), 1);
        }
        if members.len() + holders.len() < limits::SWEEP_EDGES as usize {
            edges::forget(txn, &id);
        } else {
            // Moves the key that a concurrent sweeper has read.
            txn.put(keys::gone(&id), counter(Some(&round)).wrapping_add(1).to_le_bytes().to_vec());
        }
        Ok(true)
    })
}

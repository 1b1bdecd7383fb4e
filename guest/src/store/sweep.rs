//! Maintenance in bounded steps: edges of resources that were deleted with too many of them to remove at once.
//!
//! There is no background process: each write that finds some gives one step.

use crate::error::Result;
use crate::limits;

use super::{ScanOptions, Store, counter, edges, failure, keys, transact};

/// Remove up to [`limits::SWEEP_EDGES`] edges of one deleted resource. Returns whether there was anything to do.
pub fn step<S: Store>(store: &S) -> Result<bool> {
    let first = ScanOptions { keys_only: true, limit: 1, ..ScanOptions::default() };
    let Some(entry) = store.scan(&keys::all_gone(), first).map_err(failure)?.pop() else { return Ok(false) };
    let id = keys::last_part(&entry.key);
    transact(store, |txn| {
        // Two sweepers meet on this key; the second starts again on what is left.
        let Some(round) = txn.read_one(&keys::gone(&id))? else { return Ok(true) };
        let options = ScanOptions { keys_only: true, limit: limits::SWEEP_EDGES, ..ScanOptions::default() };
        let members = store.scan(&keys::members(&id), options).map_err(failure)?;
        for entry in &members {
            let member = keys::last_part(&entry.key);
            txn.delete(entry.key.clone());
            txn.delete(keys::membership(&member, &id));
            txn.add(keys::edge_revision(&member), 1);
        }
        let left = limits::SWEEP_EDGES - u32::try_from(members.len()).unwrap_or(limits::SWEEP_EDGES);
        let holders = store.scan(&keys::memberships(&id), ScanOptions { limit: left, ..options }).map_err(failure)?;
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

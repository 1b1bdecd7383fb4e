//! Maintenance in bounded steps: edges of resources that were deleted with too many of them to remove at once, and answers
//! that were kept for an `Idempotency-Key` long enough, and tombstones of resources that can't be restored any more.
//!
//! There is no background process: each write that finds some gives one step. That there may be some is told by one key, which
//! is read with what the write reads anyway.

use crate::error::Result;
use crate::limits;
use crate::resource::Timestamp;

use super::{Key, Mode, Read, Store, Txn, Value, answers, counter, edges, keys, tombstones, transact};

/// Mark that there is something to remove, now or later, by a key of [`keys::to_sweep`].
pub fn mark<S: Store>(txn: &mut Txn<'_, S>, key: Key) {
    // No two marks are alike, so that whoever has found nothing sees by the value that another was made since.
    txn.put(keys::marked(), key.clone());
    txn.put(key, Vec::new());
}

/// Do a [`step`] where something was marked, as far as `reader` knows.
pub fn step_if_marked<S: Store>(
    reader: &impl Read,
    store: &S,
    now: Timestamp,
    deletions_since: Timestamp,
) -> Result<bool> {
    match reader.peek_one(keys::marked())? {
        Some(marked) => step_after(store, Some(&marked), now, deletions_since),
        None => Ok(false),
    }
}

/// Remove what is due, up to [`limits::SWEEP_EDGES`] edges of one deleted resource, [`limits::SWEEP_ANSWERS`] answers or
/// [`limits::SWEEP_TOMBSTONES`] tombstones of deletions before `deletions_since`. Returns whether there was anything to do.
pub fn step<S: Store>(store: &S, now: Timestamp, deletions_since: Timestamp) -> Result<bool> {
    let marked = store.peek_one(keys::marked())?;
    step_after(store, marked.as_ref(), now, deletions_since)
}

/// The same, where the last mark was read before.
fn step_after<S: Store>(store: &S, marked: Option<&Value>, now: Timestamp, deletions_since: Timestamp) -> Result<bool> {
    // One look tells of all.
    let Some(entry) = store.entries(&keys::to_sweep(), true, 1)?.pop() else {
        if marked.is_some() {
            transact(store, Mode::Commit, |txn| {
                if txn.read_one(&keys::marked())?.as_ref() == marked {
                    txn.delete(keys::marked());
                }
                Ok(())
            })?;
        }
        return Ok(false);
    };
    match keys::tombstone_id(&entry.key) {
        Some((time, _)) if time < deletions_since => return tombstones::sweep(store, deletions_since),
        // Behind tombstones that are to be kept there may be answers that are not. Only tenants that want tombstones pay.
        Some(_) => return answers::sweep(store, now),
        None => {}
    }
    match keys::answer_name(&entry.key) {
        Some(_) => answers::sweep(store, now),
        None => edges(store, &keys::last_part(&entry.key)),
    }
}

fn edges<S: Store>(store: &S, id: &str) -> Result<bool> {
    transact(store, Mode::Commit, |txn| {
        // Two sweepers meet on this key; the second starts again on what is left.
        let Some(round) = txn.read_one(&keys::gone(id))? else { return Ok(true) };
        let members = store.entries(&keys::members(id), true, limits::SWEEP_EDGES)?;
        for entry in &members {
            edges::remove(txn, id, &keys::last_part(&entry.key));
        }
        let left = limits::SWEEP_EDGES - u32::try_from(members.len()).unwrap_or(limits::SWEEP_EDGES);
        let holders = store.entries(&keys::memberships(id), true, left)?;
        for entry in &holders {
            edges::leave(txn, &keys::last_part(&entry.key), id);
        }
        if members.len() + holders.len() < limits::SWEEP_EDGES as usize {
            edges::forget(txn, id);
        } else {
            // Moves the key that a concurrent sweeper has read. The mark is made without a number.
            let round = if round.is_empty() { 0 } else { counter(Some(&round))? };
            txn.put(keys::gone(id), round.wrapping_add(1).to_le_bytes().to_vec());
        }
        Ok(true)
    })
}

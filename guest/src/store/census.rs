//! How many resources there are before a place, without walking past them: counters of ids by their first digits, a level
//! for each length of prefix. Ids begin with the time of creation, so a prefix stands for a span of time.
//!
//! Counters only add, so that creations never wait for one another. A page far into a list reads the counters of each level
//! from the first one on until it has found the one that it lies in, then passes over what few resources are left.

use crate::error::Result;
use crate::limits;
use crate::schema::ResourceType;

use super::{Key, KeyRange, Read, Store, Txn, counter, keys};

/// Digits of an id that the counters of each level have in common, a hyphen included. Ids begin with milliseconds in twelve
/// hexadecimal digits: the levels stand for some three days, a minute and a quarter of a second.
const LEVELS: [usize; 3] = [5, 8, 11];

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where to start reading documents.
    pub range: KeyRange,
    /// How many of them to pass over first.
    pub skip: u64,
}

/// Count a resource that is being created.
pub fn enter<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, id: &str) {
    txn.add(keys::resource_count(resource_type), 1);
    for key in counters(resource_type, id) {
        txn.add(key, 1);
    }
}

/// Count a resource no longer. A counter that comes to nothing goes, so that no more of them are left than resources.
pub fn leave<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, id: &str) -> Result<()> {
    txn.add(keys::resource_count(resource_type), -1);
    let counters = counters(resource_type, id);
    let counts = txn.peek(&counters)?;
    for (key, count) in counters.into_iter().zip(counts) {
        // Only the last one of a span must be sure that nobody enters it meanwhile.
        match counter(count.as_deref())? == 1 && counter(txn.read_one(&key)?.as_deref())? == 1 {
            true => txn.delete(key),
            false => txn.add(key, -1),
        }
    }
    Ok(())
}

/// How many resources of a type there are.
pub fn count(reader: &impl Read, resource_type: &ResourceType) -> Result<u64> {
    let count = reader.peek_one(keys::resource_count(resource_type))?;
    Ok(u64::try_from(counter(count.as_deref())?).unwrap_or(0))
}

/// The place after the first `skip` resources of a type.
pub fn place(reader: &impl Read, resource_type: &ResourceType, skip: u64) -> Result<Place> {
    let mut place = Place { range: keys::documents(resource_type), skip };
    let mut prefix = String::new();
    for level in LEVELS {
        // What lies within a batch is found by passing over it.
        if place.skip < u64::from(limits::SKIP_SCAN) {
            break;
        }
        let Some((found, before)) = span(reader, resource_type, level, &prefix, place.skip)? else { break };
        place = Place { range: keys::documents_from(resource_type, &found), skip: place.skip - before };
        prefix = found;
    }
    Ok(place)
}

/// The prefix of `level` digits, among those that start with `prefix`, that the resource after the first `skip` of them has,
/// and how many come before it.
fn span(
    reader: &impl Read,
    resource_type: &ResourceType,
    level: usize,
    prefix: &str,
    skip: u64,
) -> Result<Option<(String, u64)>> {
    let mut range = keys::prefix_counts(resource_type, level, prefix);
    let mut before = 0;
    loop {
        let entries = reader.entries(&range, false, limits::SCAN_BATCH)?;
        for entry in &entries {
            let count = u64::try_from(counter(Some(&entry.value))?).unwrap_or(0);
            if before + count > skip {
                return Ok(Some((keys::counted_prefix(resource_type, &entry.key).to_owned(), before)));
            }
            before += count;
        }
        match entries.last() {
            Some(last) if entries.len() == limits::SCAN_BATCH as usize => range = keys::after(&range, &last.key),
            _ => return Ok(None),
        }
    }
}

/// The counters that an id counts in beside that of its type.
fn counters(resource_type: &ResourceType, id: &str) -> [Key; LEVELS.len()] {
    LEVELS.map(|level| keys::prefix_count(resource_type, level, id.get(..level).unwrap_or(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::REGISTRY;
    use crate::store::memory::Memory;
    use crate::store::{Mode, ScanOptions, transact};

    fn user() -> &'static ResourceType {
        REGISTRY.by_name("User").expect("built in")
    }

    /// Ids of users created at these milliseconds, in order.
    fn ids(times: impl IntoIterator<Item = u64>) -> Vec<String> {
        let id = |(i, time): (usize, u64)| {
            let hex = format!("{time:012x}");
            format!("{}-{}-7000-8000-{i:012x}", &hex[..8], &hex[8..])
        };
        times.into_iter().enumerate().map(id).collect()
    }

    fn create_all(store: &Memory, ids: &[String]) {
        for id in ids {
            let created = transact(store, Mode::Commit, |txn| {
                txn.put(keys::document(user(), id), Vec::new());
                enter(txn, user(), id);
                Ok(())
            });
            assert_eq!(created, Ok(()));
        }
    }

    fn delete(store: &Memory, id: &str) {
        let deleted = transact(store, Mode::Commit, |txn| {
            txn.delete(keys::document(user(), id));
            leave(txn, user(), id)
        });
        assert_eq!(deleted, Ok(()));
    }

    /// The id that comes after the first `skip`, by the counters.
    fn at(store: &Memory, skip: u64) -> Option<String> {
        let Place { range, skip } = place(store, user(), skip).unwrap();
        let options = ScanOptions { skip, limit: 1, keys_only: true, ..ScanOptions::default() };
        store.scan(&range, options).unwrap().first().map(|entry| keys::last_part(&entry.key))
    }

    #[test]
    fn every_place_is_found() {
        let store = Memory::default();
        // Imports of many in a moment, and single ones over years.
        let burst = (0..700).map(|i| 1_700_000_000_000 + i / 3);
        let trickle = (1..200).map(|i| 1_700_000_000_000 + i * 400_000_000);
        let ids = ids(burst.chain(trickle));
        create_all(&store, &ids);
        assert_eq!(count(&store, user()), Ok(ids.len() as u64));
        for (skip, id) in (0..).zip(&ids) {
            assert_eq!(at(&store, skip).as_ref(), Some(id));
        }
        assert_eq!(at(&store, ids.len() as u64), None);
        assert_eq!(at(&store, u64::MAX), None);
    }

    #[test]
    fn what_is_deleted_counts_no_longer_and_leaves_nothing() {
        let store = Memory::default();
        let ids = ids((0..600).map(|i| 1_700_000_000_000 + i * 90));
        create_all(&store, &ids);
        for id in ids.iter().step_by(2) {
            delete(&store, id);
        }
        for (skip, id) in (0..).zip(ids.iter().skip(1).step_by(2)) {
            assert_eq!(at(&store, skip).as_ref(), Some(id));
        }
        for id in ids.iter().skip(1).step_by(2) {
            delete(&store, id);
        }
        let left: Vec<_> = store.dump().into_iter().collect();
        assert_eq!(left, [(keys::resource_count(user()), 0_i64.to_le_bytes().to_vec())]);
    }

    #[test]
    fn ids_of_any_form_are_counted() {
        let store = Memory::default();
        let mut ids: Vec<String> = (0..1000_u64).map(|i| format!("{:x}", i * i * i)).collect();
        ids.sort_unstable();
        create_all(&store, &ids);
        for (skip, id) in (0..).zip(&ids) {
            assert_eq!(at(&store, skip).as_ref(), Some(id));
        }
    }
}

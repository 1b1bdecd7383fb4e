//! What a commit comes to: its mutations, which apply in the order given, folded into the ranges to remove first and the
//! last word on each key. So a commit is a few statements however many mutations it has.

use std::collections::{BTreeMap, BTreeSet};

use scimwell_storage_check::{Check, Key, KeyRange, Mutation, StoreError, Value, added};

/// What is stored under the keys that a commit reads; absent keys are absent here too.
pub type Stored = BTreeMap<Key, Value>;

/// What a commit must read before it can be decided and folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The keys of its checks and counters.
    pub keys: BTreeSet<Key>,
    /// Whether it appends, and so needs the tenant's last sequence number.
    pub sequence: bool,
}

impl Reads {
    /// What these checks and mutations must read.
    pub fn of(checks: &[Check], mutations: &[Mutation]) -> Self {
        let counters = mutations.iter().filter_map(|mutation| match mutation {
            Mutation::Add(key, _) => Some(key),
            _ => None,
        });
        let keys = checks.iter().map(|check| &check.key).chain(counters).cloned().collect();
        Self { keys, sequence: mutations.iter().any(|mutation| matches!(mutation, Mutation::Append(..))) }
    }
}

/// Whether every check holds.
pub fn holds(checks: &[Check], stored: &Stored) -> bool {
    checks.iter().all(|check| stored.get(&check.key) == check.expected.as_ref())
}

/// What to write. Ranges first: a key in a range that has a value after all is among the `puts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Ranges to remove.
    pub ranges: Vec<KeyRange>,
    /// Keys to remove.
    pub deletes: Vec<Key>,
    /// Keys to set.
    pub puts: Vec<(Key, Value)>,
    /// The last sequence number given out, where any was.
    pub sequence: Option<u64>,
}

impl Effect {
    /// Folds the mutations over what is stored and the last sequence number given out before.
    pub fn fold(mutations: &[Mutation], stored: &Stored, sequence: u64) -> Result<Self, StoreError> {
        let mut ranges: Vec<KeyRange> = Vec::new();
        let mut keys: BTreeMap<Key, Option<Value>> = BTreeMap::new();
        let mut last = None;
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => _ = keys.insert(key.clone(), Some(value.clone())),
                Mutation::Delete(key) => _ = keys.insert(key.clone(), None),
                Mutation::DeleteRange(range) => {
                    if !range.is_empty() {
                        let covered: Vec<Key> =
                            keys.range(range.start.clone()..range.end.clone()).map(|(key, _)| key.clone()).collect();
                        for key in &covered {
                            keys.remove(key);
                        }
                        ranges.push(range.clone());
                    }
                }
                Mutation::Add(key, by) => {
                    let before = match keys.get(key) {
                        Some(value) => value.as_ref(),
                        None if ranges.iter().any(|range| range.contains(key)) => None,
                        None => stored.get(key),
                    };
                    let value = added(key, before.map(Vec::as_slice), *by)?;
                    keys.insert(key.clone(), Some(value.to_vec()));
                }
                Mutation::Append(prefix, value) => {
                    let next = last.unwrap_or(sequence) + 1;
                    keys.insert([prefix.as_slice(), &next.to_be_bytes()].concat(), Some(value.clone()));
                    last = Some(next);
                }
            }
        }
        let mut effect = Self { ranges, sequence: last, ..Self::default() };
        for (key, value) in keys {
            match value {
                Some(value) => effect.puts.push((key, value)),
                None => effect.deletes.push(key),
            }
        }
        Ok(effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Mutation {
        Mutation::Put(key.into(), value.into())
    }

    fn delete(key: &str) -> Mutation {
        Mutation::Delete(key.into())
    }

    fn range(start: &str, end: &str) -> Mutation {
        Mutation::DeleteRange(KeyRange { start: start.into(), end: end.into() })
    }

    fn add(key: &str, by: i64) -> Mutation {
        Mutation::Add(key.into(), by)
    }

    fn append(prefix: &str, value: &str) -> Mutation {
        Mutation::Append(prefix.into(), value.into())
    }

    /// Applies mutations one by one, as the contract says; what the folded effect must come to as well.
    fn one_by_one(mutations: &[Mutation], mut stored: Stored, mut sequence: u64) -> Stored {
        for mutation in mutations.iter().cloned() {
            match mutation {
                Mutation::Put(key, value) => _ = stored.insert(key, value),
                Mutation::Delete(key) => _ = stored.remove(&key),
                Mutation::DeleteRange(range) => stored.retain(|key, _| !range.contains(key)),
                Mutation::Add(key, by) => {
                    let before = stored.get(&key).map_or(0, |v| i64::from_le_bytes(v.as_slice().try_into().unwrap()));
                    stored.insert(key, before.wrapping_add(by).to_le_bytes().into());
                }
                Mutation::Append(prefix, value) => {
                    sequence += 1;
                    stored.insert([prefix.as_slice(), &sequence.to_be_bytes()].concat(), value);
                }
            }
        }
        stored
    }

    #[track_caller]
    fn check(mutations: &[Mutation]) {
        let stored: Stored = [("a", "old"), ("b", "old"), ("bb", "old"), ("z", "old")]
            .map(|(key, value)| (key.into(), value.into()))
            .into_iter()
            .chain([(b"n".to_vec(), 7_i64.to_le_bytes().to_vec())])
            .collect();
        let effect = Effect::fold(mutations, &stored, 41).unwrap();
        let mut folded = stored.clone();
        for range in &effect.ranges {
            folded.retain(|key, _| !range.contains(key));
        }
        for key in &effect.deletes {
            folded.remove(key);
        }
        folded.extend(effect.puts.iter().cloned());
        assert_eq!(folded, one_by_one(mutations, stored, 41), "{mutations:?} came to {effect:?}");
    }

    #[test]
    fn the_order_of_mutations_counts() {
        check(&[put("a", "1"), put("a", "2"), delete("a"), put("a", "3")]);
        check(&[put("a", "1"), delete("a")]);
        check(&[put("ba", "1"), range("b", "c"), put("bc", "2")]);
        check(&[range("a", "c"), put("b", "new"), delete("bb")]);
        check(&[delete("z"), range("c", "d"), range("d", "c"), range("z", "z")]);
        check(&[add("n", 1), add("n", 2), add("m", -3)]);
        check(&[range("m", "o"), add("n", 1)]);
        check(&[delete("n"), add("n", i64::MAX), add("n", 1)]);
        check(&[put("n", "12345678"), add("n", 1), range("n", "n~"), add("n", 5)]);
        check(&[append("log", "1"), put("a", "1"), append("log", "2"), range("log", "loh"), append("log", "3")]);
    }

    #[test]
    fn what_a_commit_reads() {
        let check = Check { key: b"c".to_vec(), expected: None };
        let reads = Reads::of(std::slice::from_ref(&check), &[put("a", ""), add("n", 1), add("c", 1)]);
        assert_eq!(reads, Reads { keys: BTreeSet::from([b"c".to_vec(), b"n".to_vec()]), sequence: false });
        assert!(Reads::of(&[], &[append("log", "")]).sequence);
        let stored = Stored::from([(b"c".to_vec(), b"1".to_vec())]);
        let held = Check { key: b"c".to_vec(), expected: Some(b"1".to_vec()) };
        assert!(!holds(&[check], &stored) && holds(&[held], &stored) && holds(&[], &stored));
    }

    #[test]
    fn sequence_numbers_go_on() {
        let effect = Effect::fold(&[append("l", "x"), append("l", "y")], &Stored::new(), 255).unwrap();
        assert_eq!(effect.sequence, Some(257));
        assert_eq!(effect.puts[0].0, [b"l".as_slice(), &256_u64.to_be_bytes()].concat());
        assert_eq!(Effect::fold(&[put("a", "")], &Stored::new(), 255).unwrap().sequence, None);
    }

    #[test]
    fn no_counter() {
        let stored = Stored::from([(b"t".to_vec(), b"abc".to_vec())]);
        let expect = "add to key \"t\": its value is no counter of 8 bytes but has 3";
        let tried = Effect::fold(&[put("a", ""), add("t", 1)], &stored, 0);
        assert_eq!(tried, Err(StoreError::Other(expect.to_owned())));
    }
}

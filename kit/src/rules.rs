//! What every storage does alike: which names and sizes it takes, how a counter adds.

use crate::types::{
    Check, Entry, Key, KeyRange, MAX_COMMIT, MAX_KEY, MAX_TENANT, MAX_VALUE, Mutation, StoreError, Value,
};

/// Bytes of the sequence number that [`Mutation::Append`] puts behind its prefix.
pub const SEQUENCE: usize = size_of::<u64>();

impl KeyRange {
    /// Whether it holds no key, whatever is stored.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether the key lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }

    /// The key that one of its entries leads to: the prefix, and what the entry's key has beyond the range's start.
    pub fn leads(&self, key: &[u8], prefix: &[u8]) -> Option<Key> {
        key.strip_prefix(self.start.as_slice()).map(|rest| [prefix, rest].concat())
    }
}

/// Where the entries of ranges lead, for a storage that reads that in a call of its own: the keys, and the places of their
/// values.
#[derive(Clone, Debug)]
pub struct Leads {
    keys: Vec<Key>,
    /// Of each range: for each entry and each prefix, whether there is a key.
    places: Vec<Vec<bool>>,
}

impl Leads {
    /// Of the entries of each of the ranges, by each of the prefixes.
    pub fn of(ranges: &[KeyRange], entries: &[Vec<Entry>], follow: &[Key]) -> Self {
        let mut leads = Self { keys: Vec::new(), places: Vec::new() };
        if follow.is_empty() {
            return leads;
        }
        for (range, entries) in ranges.iter().zip(entries) {
            let mut places = Vec::with_capacity(entries.len() * follow.len());
            for (entry, prefix) in entries.iter().flat_map(|entry| follow.iter().map(move |prefix| (entry, prefix))) {
                let key = range.leads(&entry.key, prefix);
                places.push(key.is_some());
                leads.keys.extend(key);
            }
            leads.places.push(places);
        }
        leads
    }

    /// The keys whose values are wanted.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Their values, in their order, as a reading has them.
    pub fn followed(&self, values: Vec<Option<Value>>) -> Vec<Vec<Option<Value>>> {
        let mut values = values.into_iter();
        let mut value = |is_key: &bool| if *is_key { values.next().flatten() } else { None };
        self.places.iter().map(|places| places.iter().map(&mut value).collect()).collect()
    }
}

/// Refuses a tenant name that a backend could not tell from another's; every call of a storage starts with it.
pub fn check_tenant(tenant: &str) -> Result<(), StoreError> {
    if tenant.len() > MAX_TENANT || tenant.contains('\0') {
        let why = format!("tenant name {tenant:?}: at most {MAX_TENANT} bytes, none of them NUL, are allowed");
        return Err(StoreError::Other(why));
    }
    Ok(())
}

/// Refuses what exceeds the limits before any of it is applied; returns the commit's size in bytes. Every
/// commit starts with it.
pub fn check_sizes(checks: &[Check], mutations: &[Mutation]) -> Result<usize, StoreError> {
    let mut total = 0_usize;
    let mut tally = |key: usize, value: usize| {
        if key > MAX_KEY || value > MAX_VALUE {
            return Err(StoreError::TooLarge);
        }
        total += key + value;
        if total > MAX_COMMIT { Err(StoreError::TooLarge) } else { Ok(()) }
    };
    for check in checks {
        tally(check.key.len(), check.expected.as_ref().map_or(0, Vec::len))?;
    }
    for mutation in mutations {
        match mutation {
            Mutation::Put(key, value) => tally(key.len(), value.len())?,
            Mutation::Append(prefix, value) => tally(prefix.len() + SEQUENCE, value.len())?,
            Mutation::Delete(key) => tally(key.len(), 0)?,
            Mutation::Add(key, _) => tally(key.len(), size_of::<i64>())?,
            // Bounds are compared, never stored: the end of a range may well be one byte longer than any key.
            Mutation::DeleteRange(range) => tally(0, range.start.len() + range.end.len())?,
        }
    }
    Ok(total)
}

/// What a counter holds after [`Mutation::Add`] of `by`, given what is stored at its key.
pub fn added(key: &[u8], before: Option<&[u8]>, by: i64) -> Result<[u8; 8], StoreError> {
    let before = match before {
        None => 0,
        Some(bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| not_a_counter(key, bytes.len()))?),
    };
    Ok(before.wrapping_add(by).to_le_bytes())
}

fn not_a_counter(key: &[u8], len: usize) -> StoreError {
    StoreError::Other(format!(
        "add to key \"{}\": its value is no counter of 8 bytes but has {len}",
        key.escape_ascii()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mutation: &Mutation, expect: Option<usize>) {
        assert_eq!(check_sizes(&[], std::slice::from_ref(mutation)), expect.ok_or(StoreError::TooLarge));
    }

    #[test]
    fn sizes() {
        let full = vec![0; MAX_KEY];
        check(&Mutation::Put(full.clone(), vec![0; MAX_VALUE]), Some(MAX_KEY + MAX_VALUE));
        check(&Mutation::Put(full.clone(), vec![0; MAX_VALUE + 1]), None);
        check(&Mutation::Put(vec![0; MAX_KEY + 1], vec![]), None);
        check(&Mutation::Delete(vec![0; MAX_KEY + 1]), None);
        check(&Mutation::Add(vec![0; MAX_KEY + 1], 1), None);
        check(&Mutation::Append(vec![0; MAX_KEY - 8], vec![]), Some(MAX_KEY));
        check(&Mutation::Append(vec![0; MAX_KEY - 7], vec![]), None);
        check(&Mutation::DeleteRange(KeyRange { start: full, end: vec![0; MAX_KEY + 1] }), Some(2 * MAX_KEY + 1));
    }

    #[test]
    fn commit_size() {
        let puts = |n| vec![Mutation::Put(vec![], vec![0; MAX_VALUE]); n];
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE)), Ok(MAX_COMMIT));
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE + 1)), Err(StoreError::TooLarge));
    }

    #[test]
    fn checks_count() {
        let held = Check { key: vec![0; MAX_KEY + 1], expected: None };
        assert_eq!(check_sizes(&[held], &[]), Err(StoreError::TooLarge));
        let held = Check { key: vec![0; MAX_KEY], expected: Some(vec![0; 2]) };
        assert_eq!(check_sizes(&[held], &[]), Ok(MAX_KEY + 2));
    }

    #[test]
    fn ranges() {
        let range = |start: &str, end: &str| KeyRange { start: start.into(), end: end.into() };
        assert!(range("b", "b").is_empty() && range("c", "b").is_empty() && !range("b", "c").is_empty());
        assert!(range("b", "d").contains(b"b") && range("b", "d").contains(b"cc"));
        assert!(!range("b", "d").contains(b"d") && !range("b", "d").contains(b"a"));
    }

    #[test]
    fn entries_lead_to_keys() {
        let range = |start: &str| KeyRange { start: start.into(), end: "z".into() };
        let entry = |key: &str| Entry { key: key.into(), value: vec![] };
        let (ranges, follow) = ([range("g1-"), range("g1-b")], ["a".into(), "v".into()]);
        let entries = [vec![entry("g1-a"), entry("g1-b")], vec![entry("g1-c")]];
        let leads = Leads::of(&ranges, &entries, &follow);
        assert_eq!(leads.keys(), ["aa", "va", "ab", "vb"].map(Key::from));
        let value = |text: &str| Some(Value::from(text));
        let followed = leads.followed(vec![value("1"), None, value("3"), value("4")]);
        // The key of the last one does not begin with its range's start.
        assert_eq!(followed, [vec![value("1"), None, value("3"), value("4")], vec![None, None]]);
        assert!(Leads::of(&ranges, &entries, &[]).followed(vec![]).is_empty());
    }

    #[test]
    fn tenants() {
        assert_eq!(check_tenant(""), Ok(()));
        assert_eq!(check_tenant(&"t".repeat(MAX_TENANT)), Ok(()));
        assert!(check_tenant(&"t".repeat(MAX_TENANT + 1)).is_err());
        assert!(check_tenant("a\0b").is_err());
    }

    #[test]
    fn counters() {
        assert_eq!(added(b"k", None, -2), Ok((-2_i64).to_le_bytes()));
        assert_eq!(added(b"k", Some(&i64::MAX.to_le_bytes()), 1), Ok(i64::MIN.to_le_bytes()));
        let expect = "add to key \"k\": its value is no counter of 8 bytes but has 3";
        assert_eq!(added(b"k", Some(b"abc"), 1), Err(StoreError::Other(expect.to_owned())));
    }
}

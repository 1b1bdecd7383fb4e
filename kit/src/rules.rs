//! What every storage does alike: which names and sizes it takes, how a counter adds.

use crate::types::{Check, KeyRange, MAX_COMMIT, MAX_KEY, MAX_TENANT, MAX_VALUE, Mutation, StoreError};

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

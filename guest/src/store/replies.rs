//! What a store answers is held against what it was asked: a wrong answer must fail the request, or it would be passed on
//! as the truth.
//!
//! Architecture invariant: only what costs no more than a look at the keys is tested here; whether a store keeps its
//! contract is for the storage check to find out.

use super::{Check, Entry, Key, KeyRange, Outcome, Reading, ScanOptions, StoreError, Value};

/// One value, or its absence, for each key.
pub fn values(call: &str, keys: &[Key], values: Vec<Option<Value>>) -> Result<Vec<Option<Value>>, StoreError> {
    if values.len() == keys.len() {
        return Ok(values);
    }
    wrong(format!("{call}: {} keys were asked for, and {} values came", keys.len(), values.len()))
}

/// Not more entries than wanted, within the range, each once and in order.
pub fn entries(
    call: &str,
    range: &KeyRange,
    options: ScanOptions,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>, StoreError> {
    if entries.len() > options.limit as usize {
        return wrong(format!("{call}: {} entries at most were asked for, and {} came", options.limit, entries.len()));
    }
    let is_outside = |entry: &&Entry| entry.key < range.start || entry.key >= range.end;
    if let Some(entry) = entries.iter().find(is_outside) {
        return wrong(format!(
            "{call}: key \"{}\" is outside the range from \"{}\" to \"{}\"",
            entry.key.escape_ascii(),
            range.start.escape_ascii(),
            range.end.escape_ascii()
        ));
    }
    let is_ordered = |pair: &&[Entry]| match options.reverse {
        true => pair[0].key > pair[1].key,
        false => pair[0].key < pair[1].key,
    };
    match entries.windows(2).find(|pair| !is_ordered(pair)) {
        None => Ok(entries),
        Some(pair) => wrong(format!(
            "{call}: key \"{}\" comes before \"{}\" in a walk that is {}",
            pair[0].key.escape_ascii(),
            pair[1].key.escape_ascii(),
            if options.reverse { "descending" } else { "ascending" }
        )),
    }
}

/// The same for keys and ranges in one call.
pub fn reading(
    keys: &[Key],
    ranges: &[KeyRange],
    options: ScanOptions,
    follow: &[Key],
    reading: Reading,
) -> Result<Reading, StoreError> {
    const CALL: &str = "storage.read";
    if reading.entries.len() != ranges.len() {
        let came = reading.entries.len();
        return wrong(format!("{CALL}: {} ranges were asked for, and the entries of {came} came", ranges.len()));
    }
    let values = values(CALL, keys, reading.values)?;
    let found = ranges.iter().zip(reading.entries).map(|(range, found)| entries(CALL, range, options, found));
    let entries = found.collect::<Result<Vec<_>, _>>()?;
    let wanted = entries.iter().map(|entries| entries.len() * follow.len());
    let wanted: Vec<usize> = if follow.is_empty() { Vec::new() } else { wanted.collect() };
    let came: Vec<usize> = reading.followed.iter().map(Vec::len).collect();
    if came != wanted {
        return wrong(format!(
            "{CALL}: what the entries lead to by {} prefixes is {wanted:?} values, and {came:?} came",
            follow.len()
        ));
    }
    Ok(Reading { values, entries, followed: reading.followed })
}

/// A conflict has a check that failed.
pub fn outcome(checks: &[Check], outcome: Outcome) -> Result<Outcome, StoreError> {
    if outcome == Outcome::Conflict && checks.is_empty() {
        return wrong(
            "storage.commit: `conflict` is the outcome of a failed check, and this commit had none".to_owned(),
        );
    }
    Ok(outcome)
}

/// The store's error, with the call that it is the answer to.
pub fn failed(call: &str, error: StoreError) -> StoreError {
    let told = |why: String| if why.is_empty() { format!("{call} failed") } else { format!("{call} failed: {why}") };
    match error {
        // The tenant was granted, or nothing would have been asked of its store.
        StoreError::AccessDenied => {
            StoreError::Other(format!("{call}: access to the store of the tenant that was granted is denied"))
        }
        StoreError::TooLarge => StoreError::TooLarge,
        StoreError::Unavailable(why) => StoreError::Unavailable(told(why)),
        StoreError::Other(why) => StoreError::Other(told(why)),
    }
}

fn wrong<T>(why: String) -> Result<T, StoreError> {
    Err(StoreError::Other(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ScanOptions = ScanOptions { reverse: false, keys_only: false, skip: 0, limit: 3 };

    #[track_caller]
    fn check(options: ScanOptions, keys: &[&str], wrong: Option<&str>) {
        let range = KeyRange { start: b"b".to_vec(), end: b"f".to_vec() };
        let found: Vec<Entry> = keys.iter().map(|key| Entry { key: (*key).into(), value: vec![] }).collect();
        match (entries("storage.scan", &range, options, found.clone()), wrong) {
            (Ok(passed), None) => assert_eq!(passed, found),
            (Err(StoreError::Other(why)), Some(part)) => {
                assert!(why.starts_with("storage.scan: ") && why.contains(part), "{why}");
            }
            (result, _) => panic!("{keys:?}: {result:?}"),
        }
    }

    #[test]
    fn scans() {
        let reverse = ScanOptions { reverse: true, ..ALL };
        check(ALL, &[], None);
        check(ALL, &["b", "c", "eee"], None);
        check(reverse, &["eee", "c", "b"], None);
        check(ALL, &["b", "c", "d", "e"], Some("3 entries at most were asked for, and 4 came"));
        check(ALL, &["a"], Some("key \"a\" is outside the range from \"b\" to \"f\""));
        check(ALL, &["c", "f"], Some("outside"));
        check(ALL, &["c", "b"], Some("\"c\" comes before \"b\" in a walk that is ascending"));
        check(reverse, &["b", "c"], Some("descending"));
        check(ALL, &["c", "c"], Some("comes before"));
    }

    #[test]
    fn gets() {
        let keys = [b"a".to_vec(), b"b".to_vec()];
        assert_eq!(values("storage.get", &keys, vec![None, None]), Ok(vec![None, None]));
        for wrong in [vec![], vec![None], vec![None; 3]] {
            let error = values("storage.get", &keys, wrong).unwrap_err();
            assert!(matches!(&error, StoreError::Other(why) if why.starts_with("storage.get: 2 keys")), "{error:?}");
        }
    }

    #[test]
    fn readings() {
        let (keys, ranges) = ([b"a".to_vec()], [KeyRange { start: b"b".to_vec(), end: b"f".to_vec() }]);
        let check = |values: Vec<Option<Value>>, entries: Vec<Vec<Entry>>| {
            reading(&keys, &ranges, ALL, &[], Reading { values, entries, followed: vec![] })
        };
        let entry = |key: &str| Entry { key: key.into(), value: vec![] };
        assert!(check(vec![None], vec![vec![entry("c")]]).is_ok());
        for (values, entries) in [
            (vec![], vec![vec![]]),
            (vec![None], vec![]),
            (vec![None], vec![vec![], vec![]]),
            (vec![None], vec![vec![entry("g")]]),
        ] {
            let error = check(values, entries).unwrap_err();
            assert!(matches!(&error, StoreError::Other(why) if why.starts_with("storage.read: ")), "{error:?}");
        }
    }

    #[test]
    fn what_entries_lead_to() {
        let ranges = [KeyRange { start: b"b".to_vec(), end: b"f".to_vec() }];
        let entries = vec![vec![Entry { key: b"c".to_vec(), value: vec![] }]];
        let check = |follow: &[Key], followed: Vec<Vec<Option<Value>>>| {
            reading(&[], &ranges, ALL, follow, Reading { values: vec![], entries: entries.clone(), followed })
        };
        let follow = [b"x".to_vec(), b"y".to_vec()];
        assert!(check(&[], vec![]).is_ok() && check(&follow, vec![vec![None, Some(vec![])]]).is_ok());
        for wrong in [vec![], vec![vec![]], vec![vec![None]], vec![vec![None; 2]; 2]] {
            let error = check(&follow, wrong).unwrap_err();
            assert!(matches!(&error, StoreError::Other(why) if why.contains("by 2 prefixes")), "{error:?}");
        }
        assert!(check(&[], vec![vec![None]]).is_err());
    }

    #[test]
    fn conflicts() {
        let checks = [Check { key: vec![], expected: None }];
        assert_eq!(outcome(&checks, Outcome::Conflict), Ok(Outcome::Conflict));
        assert_eq!(outcome(&[], Outcome::Committed), Ok(Outcome::Committed));
        let lie = outcome(&[], Outcome::Conflict).unwrap_err();
        assert!(matches!(&lie, StoreError::Other(why) if why.starts_with("storage.commit: ")), "{lie:?}");
    }

    #[test]
    fn failures_name_the_call() {
        let unavailable = |why: &str| failed("storage.get", StoreError::Unavailable(why.to_owned()));
        assert_eq!(unavailable("gone"), StoreError::Unavailable("storage.get failed: gone".to_owned()));
        assert_eq!(unavailable(""), StoreError::Unavailable("storage.get failed".to_owned()));
        assert_eq!(failed("storage.get", StoreError::TooLarge), StoreError::TooLarge);
        let denied = failed("storage.open", StoreError::AccessDenied);
        assert!(matches!(&denied, StoreError::Other(why) if why.starts_with("storage.open: ")), "{denied:?}");
    }
}

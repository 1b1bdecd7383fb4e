//! Walking ranges, and counting them.

use super::{put, range};
use crate::rules::Leads;
use crate::space::{ALL, Space, Subject, Verdict, broken, same};
use crate::types::{Entry, Key, KeyRange, Mutation, Reading, ScanOptions, Value};

/// A host may bound what the ranges of one `read` ask for together.
const ALL_OF_FOUR: ScanOptions = ScanOptions { limit: 1_000, ..ALL };

pub(crate) async fn byte_order<S: Subject>(s: &Space<S>) -> Verdict {
    // Capital and small letters are as far apart as their bytes, and bytes beyond 127 are no negative numbers.
    let keys: [&[u8]; 10] = [&[], &[0], &[0, 0], &[0, 255], &[1], b"A", b"B", b"a", &[0x7f], &[255]];
    for key in keys.iter().rev() {
        s.apply(vec![Mutation::Put(key.to_vec(), key.to_vec())]).await?;
    }
    let found = s.scan(&[], &[255, 0], ALL).await?;
    let expect: Vec<Entry> = keys.iter().map(|key| Entry { key: key.to_vec(), value: key.to_vec() }).collect();
    same("keys, compared byte by byte", &found, &expect)
}

pub(crate) async fn scan<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(["a", "b", "c", "d", "e"].map(|key| put(key, key)).to_vec()).await?;
    let reverse = ScanOptions { reverse: true, ..ALL };
    let cases = [
        ("b", "d", ALL, "bc"),
        ("b", "d", reverse, "cb"),
        ("", "z", ALL, "abcde"),
        ("aa", "dd", reverse, "dcb"),
        ("a", "f", ScanOptions { keys_only: true, ..ALL }, "abcde"),
        ("a", "f", ScanOptions { limit: 2, ..ALL }, "ab"),
        ("a", "f", ScanOptions { limit: 2, ..reverse }, "ed"),
        ("a", "f", ScanOptions { skip: 1, limit: 2, ..ALL }, "bc"),
        ("a", "f", ScanOptions { skip: 1, limit: 2, ..reverse }, "dc"),
        ("a", "f", ScanOptions { skip: 4, keys_only: true, ..ALL }, "e"),
        ("a", "f", ScanOptions { skip: 5, ..ALL }, ""),
        ("a", "f", ScanOptions { skip: u64::MAX, ..ALL }, ""),
        ("a", "f", ScanOptions { limit: 0, ..ALL }, ""),
        ("bb", "c", ALL, ""),
        ("c", "c", ALL, ""),
        ("d", "b", ALL, ""),
        ("d", "b", reverse, ""),
    ];
    for (start, end, options, expect) in cases {
        let found = s.scan(start.as_bytes(), end.as_bytes(), options).await?;
        let keys: Vec<u8> = found.iter().flat_map(|entry| entry.key.clone()).collect();
        let what = format!("scan from {start:?} to {end:?}, {options:?}");
        same(&what, &String::from_utf8_lossy(&keys).into_owned(), &expect.to_owned())?;
        let is_right = |entry: &Entry| entry.value == if options.keys_only { vec![] } else { entry.key.clone() };
        if !found.iter().all(is_right) {
            return broken(format!("{what}: wrong values in {found:?}"));
        }
    }
    Ok(())
}

pub(crate) async fn read<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(["a", "b", "c", "d", "e"].map(|key| put(key, key)).to_vec()).await?;
    let keys = ["d", "absent", "a"].map(Key::from);
    let ranges = [range("b", "e"), range("x", "z"), range("c", "b"), range("a", "c")];
    let all_options = [
        ALL_OF_FOUR,
        ScanOptions { reverse: true, ..ALL_OF_FOUR },
        ScanOptions { skip: 1, limit: 1, ..ALL_OF_FOUR },
        ScanOptions { keys_only: true, limit: 2, ..ALL_OF_FOUR },
        ScanOptions { limit: 0, ..ALL_OF_FOUR },
    ];
    for options in all_options {
        // What `get` and `scan` themselves give has cases of its own.
        let mut expect = Reading { values: s.subject.get(&s.tenant, &keys).await?, ..Reading::default() };
        for range in &ranges {
            expect.entries.push(s.scan(&range.start, &range.end, options).await?);
        }
        let found = s.subject.read(&s.tenant, &keys, &ranges, options, &[]).await?;
        same(&format!("three keys and four ranges, {options:?}"), &found, &expect)?;
    }
    let found = s.subject.read(&s.tenant, &keys, &[], ALL_OF_FOUR, &[]).await?;
    same("keys alone", &found.values, &[Some("d"), None, Some("a")].map(|value| value.map(Value::from)).to_vec())?;
    same("ranges, where none are asked for", &found.entries.len(), &0)?;
    let found = s.subject.read(&s.tenant, &[], &ranges[..1], ALL_OF_FOUR, &[]).await?;
    same("ranges alone", &(found.values.len(), found.entries.len()), &(0, 1))?;
    let found = s.subject.read(&s.tenant, &[], &[], ALL_OF_FOUR, &[]).await?;
    same("nothing", &found, &Reading::default())
}

/// Edges from one key to others, as members to their groups.
pub(crate) async fn follow<S: Subject>(s: &Space<S>) -> Verdict {
    // Whatever bytes a key goes on with are no text.
    let all: [&[u8]; 12] =
        [b"e1-a", b"e1-b", b"e1-c", b"e1-\0\xff", b"e2-b", b"na", b"nb", b"n\0\xff", b"va", b"vc", b"v\0\xff", b"xb"];
    s.apply(all.map(|key| Mutation::Put(key.to_vec(), key.to_vec())).to_vec()).await?;
    let of = |start: &str| range(start, &format!("{start}~"));
    let options = ScanOptions { limit: 100, ..ALL };
    let (all_of_one, of_two) = (vec![of("e1-")], vec![of("e2-"), of("e1-"), of("e3-")]);
    // The keys of these entries go on behind the ends of their ranges' starts, or do not begin with them.
    let apart = vec![range("e1-a", "e1-c"), range("a", "z"), range("", "e1-b")];
    for (ranges, options, prefixes) in [
        (&all_of_one, options, &["n", "v"][..]),
        (&all_of_one, options, &["x"]),
        (&all_of_one, ScanOptions { reverse: true, skip: 1, limit: 2, ..options }, &["v", "n"]),
        (&all_of_one, ScanOptions { keys_only: true, ..options }, &["n", ""]),
        (&of_two, ScanOptions { keys_only: true, limit: 2, ..options }, &["n", "x"]),
        (&of_two, ScanOptions { limit: 0, ..options }, &["n"]),
        (&apart, options, &["n", "e1-a"]),
    ] {
        let follow: Vec<Key> = prefixes.iter().map(|prefix| Key::from(*prefix)).collect();
        let keys = ["na", "absent"].map(Key::from);
        let mut expect = s.subject.read(&s.tenant, &keys, ranges, options, &[]).await?;
        let leads = Leads::of(ranges, &expect.entries, &follow);
        expect.followed = leads.followed(s.subject.get(&s.tenant, leads.keys()).await?);
        let found = s.subject.read(&s.tenant, &keys, ranges, options, &follow).await?;
        same(&format!("{ranges:?} followed by {prefixes:?}, {options:?}"), &found, &expect)?;
    }
    let found = s.subject.read(&s.tenant, &["na".into()], &[], options, &["n".into()]).await?;
    same("no range and a prefix", &found.followed.len(), &0)
}

/// More entries than a storage is likely to handle in one step.
pub(crate) async fn long_scan<S: Subject>(s: &Space<S>) -> Verdict {
    let key = |n: u32| n.to_be_bytes().to_vec();
    let keys = 0..5000_u32;
    s.apply(keys.clone().map(|n| Mutation::Put(key(n), key(n))).collect()).await?;
    let (start, end) = (key(0), key(u32::MAX));
    let expect: Vec<Entry> = keys.map(|n| Entry { key: key(n), value: key(n) }).collect();
    same("5000 entries", &s.scan(&start, &end, ALL).await?, &expect)?;
    let part = s.scan(&start, &end, ScanOptions { reverse: true, skip: 3000, limit: 1500, ..ALL }).await?;
    same("1500 of them from the end", &part, &expect[500..2000].iter().rev().cloned().collect())?;
    same("their count", &s.count(&KeyRange { start: key(10), end }).await?, &4990)?;
    s.apply(vec![Mutation::DeleteRange(KeyRange { start: key(1), end: key(4999) })]).await?;
    same("what a deleted range leaves", &s.all().await?, &vec![expect[0].clone(), expect[4999].clone()])
}

pub(crate) async fn count<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(["a", "b", "ba", "c"].map(|key| put(key, "")).to_vec()).await?;
    let ranges = [("", "z", 4), ("a", "c", 3), ("b", "c", 2), ("bb", "c", 0), ("b", "b", 0), ("c", "a", 0)];
    for (start, end, expect) in ranges {
        same(&format!("keys from {start:?} to {end:?}"), &s.count(&range(start, end)).await?, &expect)?;
    }
    Ok(())
}

//! What every storage backend must do, as checks that run on any of them.
//!
//! A backend's own tests run [`check`] and expect no violation. Each clause works in tenants of its own, emptied first, so
//! that the suite may run again on the same database.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::sync::Arc;
//! use scimwell::storage::{Memory, contract};
//!
//! let violations = contract::check(&(Arc::new(Memory::new()) as Arc<_>)).await;
//! assert!(violations.is_empty(), "{violations:?}");
//! # });
//! ```

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::{
    Check, Entry, Key, KeyRange, MAX_KEY, MAX_VALUE, Mutation, Outcome, ScanOptions, Storage, StoreError, Value,
};

/// Callers at once in the clauses about races.
const TASKS: u32 = 64;
/// Commits of each of them.
const ROUNDS: u32 = 8;

/// A clause that a backend breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The clause's name.
    pub clause: &'static str,
    /// What was expected and what came.
    pub detail: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.clause, self.detail)
    }
}

impl std::error::Error for Violation {}

/// Runs every clause on the storage and returns those that it breaks.
pub async fn check(storage: &Arc<dyn Storage>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (clause, run) in CLAUSES {
        let space = Space { storage: Arc::clone(storage), tenant: format!("contract-{clause}") };
        let verdict = match space.clear().await {
            Ok(()) => run(space).await,
            Err(broken) => Err(broken),
        };
        if let Err(Broken(detail)) = verdict {
            violations.push(Violation { clause, detail });
        }
    }
    violations
}

/// The names of all clauses, in the order in which [`check`] runs them.
pub fn clauses() -> impl Iterator<Item = &'static str> {
    CLAUSES.iter().map(|(clause, _)| *clause)
}

/// What is wrong, for [`Violation::detail`].
#[derive(Debug)]
struct Broken(String);

type Verdict = Result<(), Broken>;
type Clause = fn(Space) -> Pin<Box<dyn Future<Output = Verdict> + Send>>;

const CLAUSES: &[(&str, Clause)] = &[
    ("get", |s| Box::pin(get(s))),
    ("put-and-delete", |s| Box::pin(put_and_delete(s))),
    ("byte-order", |s| Box::pin(byte_order(s))),
    ("checks", |s| Box::pin(checks(s))),
    ("conflict-leaves-nothing", |s| Box::pin(conflict_leaves_nothing(s))),
    ("failure-leaves-nothing", |s| Box::pin(failure_leaves_nothing(s))),
    ("mutations-in-order", |s| Box::pin(mutations_in_order(s))),
    ("delete-range", |s| Box::pin(delete_range(s))),
    ("counters", |s| Box::pin(counters(s))),
    ("concurrent-adds", |s| Box::pin(concurrent_adds(s))),
    ("append", |s| Box::pin(append(s))),
    ("append-tail", |s| Box::pin(append_tail(s))),
    ("scan", |s| Box::pin(scan(s))),
    ("long-scan", |s| Box::pin(long_scan(s))),
    ("count", |s| Box::pin(count(s))),
    ("limits", |s| Box::pin(limits(s))),
    ("tenants-isolated", |s| Box::pin(tenants_isolated(s))),
    ("tenant-names", |s| Box::pin(tenant_names(s))),
    ("read-your-commit", |s| Box::pin(read_your_commit(s))),
    ("create-race", |s| Box::pin(create_race(s))),
    ("no-lost-update", |s| Box::pin(no_lost_update(s))),
    ("one-snapshot", |s| Box::pin(one_snapshot(s))),
];

async fn get(s: Space) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", ""), put("c", "3")]).await?;
    let keys = ["c", "absent", "a", "b", "a"].map(Key::from);
    let expect = [Some("3"), None, Some("1"), Some(""), Some("1")].map(|value| value.map(Value::from));
    same("values, in the order of the keys", &s.storage.get(&s.tenant, &keys).await?, &expect.to_vec())?;
    same("values of no keys", &s.storage.get(&s.tenant, &[]).await?, &Vec::new())
}

async fn put_and_delete(s: Space) -> Verdict {
    s.apply(vec![put("a", "1")]).await?;
    s.apply(vec![put("a", "22")]).await?;
    s.holds(&[("a", "22")]).await?;
    s.apply(vec![delete("a")]).await?;
    s.holds(&[]).await?;
    s.apply(vec![delete("a")]).await?;
    s.apply(vec![]).await?;
    s.holds(&[]).await
}

async fn byte_order(s: Space) -> Verdict {
    let keys: [&[u8]; 9] = [&[], &[0], &[0, 0], &[0, 255], &[1], b"A", b"a", &[0x7f], &[255]];
    for key in keys.iter().rev() {
        s.apply(vec![Mutation::Put(key.to_vec(), key.to_vec())]).await?;
    }
    let found = s.scan(&[], &[255, 0], ALL).await?;
    let expect: Vec<Entry> = keys.iter().map(|key| Entry { key: key.to_vec(), value: key.to_vec() }).collect();
    same("keys, compared byte by byte", &found, &expect)
}

async fn checks(s: Space) -> Verdict {
    let set = |value| vec![put("a", value)];
    s.outcome(vec![is("a", "")], set("0"), Outcome::Conflict).await?;
    s.outcome(vec![is_absent("a")], set("1"), Outcome::Committed).await?;
    s.outcome(vec![is_absent("a")], set("2"), Outcome::Conflict).await?;
    for wrong in ["", "0", "11"] {
        s.outcome(vec![is("a", wrong)], set("2"), Outcome::Conflict).await?;
    }
    s.outcome(vec![is("a", "1"), is_absent("a")], set("2"), Outcome::Conflict).await?;
    s.holds(&[("a", "1")]).await?;
    s.outcome(vec![is("a", "1"), is_absent("b")], set("3"), Outcome::Committed).await?;
    s.outcome(vec![is("a", "1")], vec![], Outcome::Conflict).await?;
    s.outcome(vec![is("a", "3")], vec![], Outcome::Committed).await?;
    s.holds(&[("a", "3")]).await
}

async fn conflict_leaves_nothing(s: Space) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", "2"), Mutation::Add(b"n".to_vec(), 7)]).await?;
    let before = s.all().await?;
    let mutations = every_kind();
    s.outcome(vec![is("a", "1"), is_absent("b")], mutations, Outcome::Conflict).await?;
    same("all entries after the conflict", &s.all().await?, &before)
}

/// Adding to what is no counter fails as a whole, whatever came before it in the commit.
async fn failure_leaves_nothing(s: Space) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", "2"), Mutation::Add(b"n".to_vec(), 7), put("text", "no counter")]).await?;
    let before = s.all().await?;
    let mut mutations = every_kind();
    mutations.push(Mutation::Add(b"text".to_vec(), 1));
    let tried = s.storage.commit(&s.tenant, vec![], mutations).await;
    if !matches!(tried, Err(StoreError::Other(_))) {
        return broken(format!("adding to a value that is no counter: expected an error, came {tried:?}"));
    }
    same("all entries after the failure", &s.all().await?, &before)?;
    s.apply(vec![put("text", "new")]).await
}

/// One mutation of each kind, to apply to `a`, `b` and a counter `n`.
fn every_kind() -> Vec<Mutation> {
    vec![
        put("c", "3"),
        delete("a"),
        range_deleted("b", "c"),
        Mutation::Add(b"n".to_vec(), 1),
        Mutation::Append(b"log".to_vec(), b"x".to_vec()),
    ]
}

async fn mutations_in_order(s: Space) -> Verdict {
    s.apply(vec![put("a", "1"), put("a", "2"), delete("a"), put("a", "3")]).await?;
    s.apply(vec![put("b", "1"), delete("b")]).await?;
    s.holds(&[("a", "3")]).await?;
    s.apply(vec![put("m", "1"), range_deleted("l", "n"), put("mm", "2")]).await?;
    s.holds(&[("a", "3"), ("mm", "2")]).await?;
    let counter = || b"mm".to_vec();
    s.apply(vec![delete("mm"), Mutation::Add(counter(), 2), Mutation::Add(counter(), 3)]).await?;
    same("a counter made anew", &s.counter("mm").await?, &Some(5))?;
    let start = Mutation::Put(counter(), 40_i64.to_le_bytes().to_vec());
    s.apply(vec![start, Mutation::Add(counter(), 2)]).await?;
    same("a counter put, then added to", &s.counter("mm").await?, &Some(42))
}

async fn delete_range(s: Space) -> Verdict {
    let keys = ["a", "b", "ba", "c", "d"];
    s.apply(keys.map(|key| put(key, "x")).to_vec()).await?;
    for (start, end) in [("b", "b"), ("d", "a"), ("bb", "c"), ("e", "z")] {
        s.apply(vec![range_deleted(start, end)]).await?;
    }
    s.holds(&keys.map(|key| (key, "x"))).await?;
    s.apply(vec![put("bb", "x"), range_deleted("b", "c")]).await?;
    s.holds(&["a", "c", "d"].map(|key| (key, "x"))).await?;
    s.apply(vec![range_deleted("", "z")]).await?;
    s.holds(&[]).await
}

async fn counters(s: Space) -> Verdict {
    for (by, expect) in [(5, 5), (-7, -2), (2, 0), (i64::MAX, i64::MAX), (1, i64::MIN)] {
        s.apply(vec![Mutation::Add(b"n".to_vec(), by)]).await?;
        same("the counter", &s.counter("n").await?, &Some(expect))?;
    }
    s.apply(vec![Mutation::Add(b"n".to_vec(), i64::MIN), Mutation::Add(b"n".to_vec(), 258)]).await?;
    let stored = [2, 1, 0, 0, 0, 0, 0, 0].to_vec();
    same("258 in bytes", &s.get("n").await?, &Some(stored))
}

async fn concurrent_adds(s: Space) -> Verdict {
    let total = i64::from(TASKS * ROUNDS);
    s.at_once(|s, task| async move {
        for _ in 0..ROUNDS {
            let mutations = vec![Mutation::Add(b"n".to_vec(), 3), Mutation::Add(b"m".to_vec(), -i64::from(task % 2))];
            s.apply(mutations).await?;
        }
        Ok(())
    })
    .await?;
    same("the counter that all add 3 to", &s.counter("n").await?, &Some(3 * total))?;
    same("the counter that half of them take 1 from", &s.counter("m").await?, &Some(-total / 2))
}

async fn append(s: Space) -> Verdict {
    s.apply(vec![log("a", "1"), log("b", "2"), log("a", "3")]).await?;
    s.outcome(vec![is("none", "")], vec![log("a", "lost")], Outcome::Conflict).await?;
    s.apply(vec![log("a", "4")]).await?;
    let mut records: Vec<_> = s.all().await?.into_iter().map(|entry| (number(&entry.key), entry.value)).collect();
    records.sort_unstable();
    let values: Vec<Value> = records.iter().map(|(_, value)| value.clone()).collect();
    same("values in the order of their numbers", &values, &["1", "2", "3", "4"].map(Value::from).to_vec())?;
    let numbers: BTreeSet<u64> = records.iter().map(|(number, _)| *number).collect();
    same("different numbers", &numbers.len(), &4)?;
    s.clear().await?;
    s.apply(vec![log("a", "5")]).await?;
    match &s.all().await?[..] {
        [next] if numbers.last() < Some(&number(&next.key)) => Ok(()),
        other => broken(format!("after {numbers:?} were deleted, the next number must be greater: {other:?}")),
    }
}

/// Whoever reads the log in order and goes on from the last key seen misses nothing and sees nothing twice.
async fn append_tail(s: Space) -> Verdict {
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(tail(s.clone(), Arc::clone(&done)));
    let written = s
        .at_once(|s, task| async move {
            for round in 0..ROUNDS {
                s.apply(vec![log("log", &format!("{task}/{round}"))]).await?;
            }
            Ok(())
        })
        .await;
    done.store(true, Ordering::Release);
    let seen: Vec<Value> = reader.await.map_err(|error| Broken(error.to_string()))??;
    written?;
    let distinct: BTreeSet<&Value> = seen.iter().collect();
    same("records seen", &seen.len(), &((TASKS * ROUNDS) as usize))?;
    same("different records seen", &distinct.len(), &seen.len())?;
    let stored: Vec<Value> = s.all().await?.into_iter().map(|entry| entry.value).collect();
    same("records in the order of the log", &seen, &stored)
}

/// Reads the log page by page until it is `done` and nothing follows.
async fn tail(s: Space, done: Arc<AtomicBool>) -> Result<Vec<Value>, Broken> {
    let mut seen = Vec::new();
    let mut cursor = b"log".to_vec();
    loop {
        let is_complete = done.load(Ordering::Acquire);
        let page = s.scan(&cursor, b"loh", ScanOptions { limit: 10, ..ALL }).await?;
        match page.last() {
            // The smallest key greater than the last one seen.
            Some(last) => cursor = [last.key.as_slice(), &[0]].concat(),
            None if is_complete => return Ok(seen),
            None => tokio::task::yield_now().await,
        }
        seen.extend(page.into_iter().map(|entry| entry.value));
    }
}

async fn scan(s: Space) -> Verdict {
    s.apply(["a", "b", "c", "d", "e"].map(|key| put(key, key)).to_vec()).await?;
    let check = async |start: &str, end: &str, options: ScanOptions, expect: &str| {
        let found = s.scan(start.as_bytes(), end.as_bytes(), options).await?;
        let keys: Vec<u8> = found.iter().flat_map(|entry| entry.key.clone()).collect();
        let what = format!("scan {start:?} to {end:?}, {options:?}");
        same(&what, &String::from_utf8_lossy(&keys).into_owned(), &expect.to_owned())?;
        let is_right = |entry: &Entry| entry.value == if options.keys_only { vec![] } else { entry.key.clone() };
        if found.iter().all(is_right) { Ok(()) } else { broken(format!("{what}: wrong values in {found:?}")) }
    };
    let reverse = ScanOptions { reverse: true, ..ALL };
    check("b", "d", ALL, "bc").await?;
    check("b", "d", reverse, "cb").await?;
    check("", "z", ALL, "abcde").await?;
    check("aa", "dd", reverse, "dcb").await?;
    check("a", "f", ScanOptions { keys_only: true, ..ALL }, "abcde").await?;
    check("a", "f", ScanOptions { skip: 1, limit: 2, ..ALL }, "bc").await?;
    check("a", "f", ScanOptions { skip: 1, limit: 2, ..reverse }, "dc").await?;
    check("a", "f", ScanOptions { skip: 4, keys_only: true, ..ALL }, "e").await?;
    check("a", "f", ScanOptions { skip: 5, ..ALL }, "").await?;
    check("a", "f", ScanOptions { skip: u64::MAX, ..ALL }, "").await?;
    check("a", "f", ScanOptions { limit: 0, ..ALL }, "").await?;
    check("bb", "c", ALL, "").await?;
    check("c", "c", ALL, "").await?;
    check("d", "b", ALL, "").await?;
    check("d", "b", reverse, "").await
}

/// More entries than a backend is likely to handle in one step.
async fn long_scan(s: Space) -> Verdict {
    let key = |n: u32| n.to_be_bytes().to_vec();
    let keys = 0..5000_u32;
    s.apply(keys.clone().map(|n| Mutation::Put(key(n), key(n))).collect()).await?;
    let (start, end) = (key(0), key(u32::MAX));
    let expect: Vec<Entry> = keys.map(|n| Entry { key: key(n), value: key(n) }).collect();
    same("5000 entries", &s.scan(&start, &end, ALL).await?, &expect)?;
    let part = s.scan(&start, &end, ScanOptions { reverse: true, skip: 3000, limit: 1500, ..ALL }).await?;
    same("1500 of them from the end", &part, &expect[500..2000].iter().rev().cloned().collect())?;
    let range = KeyRange { start: key(10), end };
    same("their count", &s.storage.count(&s.tenant, &range).await?, &4990)?;
    s.apply(vec![Mutation::DeleteRange(KeyRange { start: key(1), end: key(4999) })]).await?;
    same("what a deleted range leaves", &s.all().await?.len(), &2)
}

async fn count(s: Space) -> Verdict {
    s.apply(["a", "b", "ba", "c"].map(|key| put(key, "")).to_vec()).await?;
    let ranges = [("", "z", 4), ("a", "c", 3), ("b", "c", 2), ("bb", "c", 0), ("b", "b", 0), ("c", "a", 0)];
    for (start, end, expect) in ranges {
        let range = KeyRange { start: start.into(), end: end.into() };
        same(&format!("keys from {start:?} to {end:?}"), &s.storage.count(&s.tenant, &range).await?, &expect)?;
    }
    Ok(())
}

async fn limits(s: Space) -> Verdict {
    let (key, value) = (vec![b'k'; MAX_KEY], vec![b'v'; MAX_VALUE]);
    let prefix = vec![b'l'; MAX_KEY - 8];
    s.apply(vec![Mutation::Put(key.clone(), value.clone()), Mutation::Append(prefix.clone(), value.clone())]).await?;
    let held = Check { key: key.clone(), expected: Some(value.clone()) };
    s.outcome(vec![held], vec![Mutation::Delete(key.clone())], Outcome::Committed).await?;
    let before = s.all().await?;
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let too_large = [
        Mutation::Put(longer(&key), vec![]),
        Mutation::Put(key.clone(), longer(&value)),
        Mutation::Delete(longer(&key)),
        Mutation::Add(longer(&key), 1),
        Mutation::Append(longer(&prefix), vec![]),
        Mutation::Append(vec![], longer(&value)),
    ];
    for mutation in too_large {
        let kind = format!("{mutation:?}")[..10].to_owned();
        let tried = s.storage.commit(&s.tenant, vec![], vec![put("small", ""), mutation]).await;
        same(&format!("one byte too many in {kind}…"), &tried, &Err(StoreError::TooLarge))?;
        same("all entries thereafter", &s.all().await?, &before)?;
    }
    let checks = vec![Check { key: longer(&key), expected: None }];
    let tried = s.storage.commit(&s.tenant, checks, vec![]).await;
    same("one byte too many in a check", &tried, &Err(StoreError::TooLarge))
}

async fn tenants_isolated(s: Space) -> Verdict {
    // Names that are prefixes of one another, and keys that continue them.
    let others = ["", "-", "-a", "\u{1}", "a"].map(|suffix| Space { tenant: s.tenant.clone() + suffix, ..s.clone() });
    for (n, space) in others.iter().enumerate() {
        space.clear().await?;
        space.apply(vec![put("a", &n.to_string()), put("-a", ""), put("", "")]).await?;
    }
    others[0].clear().await?;
    others[0].holds(&[]).await?;
    for (n, space) in others.iter().enumerate().skip(1) {
        space.holds(&[("", ""), ("-a", ""), ("a", &n.to_string())]).await?;
        space.outcome(vec![is("a", &n.to_string())], vec![delete("-a")], Outcome::Committed).await?;
        space.holds(&[("", ""), ("a", &n.to_string())]).await?;
        space.clear().await?;
    }
    others[0].holds(&[]).await
}

async fn tenant_names(s: Space) -> Verdict {
    let host = Space { tenant: String::new(), ..s.clone() };
    let key = format!("{}/host", s.tenant);
    host.apply(vec![put(&key, "1")]).await?;
    same("a key of the host's own", &host.get(&key).await?, &Some(b"1".to_vec()))?;
    host.apply(vec![delete(&key)]).await?;
    for name in ["a\0b".to_owned(), "t".repeat(65)] {
        let bad = Space { tenant: name, ..s.clone() };
        if bad.get("a").await.is_ok() || bad.apply(vec![put("a", "")]).await.is_ok() {
            return broken(format!("tenant name {:?} must be refused", bad.tenant));
        }
    }
    Ok(())
}

async fn read_your_commit(s: Space) -> Verdict {
    s.at_once(|s, task| async move {
        for round in 0..ROUNDS {
            let (key, value) = (format!("{task:03}"), round.to_string());
            s.apply(vec![put(&key, &value)]).await?;
            same("the value just committed", &s.get(&key).await?, &Some(value.clone().into_bytes()))?;
            let range = KeyRange { start: key.clone().into(), end: format!("{key}~").into() };
            same("the count just committed", &s.storage.count(&s.tenant, &range).await?, &1)?;
            let found = s.scan(&range.start, &range.end, ALL).await?;
            same("the scan after it", &found, &vec![Entry { key: key.into(), value: value.into() }])?;
        }
        Ok(())
    })
    .await
}

async fn create_race(s: Space) -> Verdict {
    for round in 0..ROUNDS {
        let won = s
            .at_once(move |s, task| async move {
                let key = format!("unique/{round}");
                let mutations = vec![put(&key, &task.to_string()), Mutation::Add(b"created".to_vec(), 1)];
                let outcome = s.storage.commit(&s.tenant, vec![is_absent(&key)], mutations).await?;
                let holder = s.get(&key).await?;
                match (outcome, holder) {
                    (Outcome::Committed, Some(holder)) => same("the holder", &holder, &task.to_string().into_bytes()),
                    (Outcome::Conflict, Some(_)) => Ok(()),
                    (_, None) => broken("a loser must see the winner's value at once".to_owned()),
                }
            })
            .await;
        won?;
        same("how many created it", &s.counter("created").await?, &Some(i64::from(round) + 1))?;
    }
    Ok(())
}

async fn no_lost_update(s: Space) -> Verdict {
    s.apply(vec![put("n", "0")]).await?;
    s.at_once(|s, _| async move {
        loop {
            let Some(before) = s.get("n").await? else { return broken("the key vanished".to_owned()) };
            let number: u32 = String::from_utf8_lossy(&before).parse().map_err(|error| Broken(format!("{error}")))?;
            // Lets the other tasks read the same value.
            tokio::task::yield_now().await;
            let check = Check { key: b"n".to_vec(), expected: Some(before) };
            let mutations = vec![put("n", &(number + 1).to_string())];
            if s.storage.commit(&s.tenant, vec![check], mutations).await? == Outcome::Committed {
                return Ok(());
            }
        }
    })
    .await?;
    same("one more from each task", &s.get("n").await?, &Some(TASKS.to_string().into_bytes()))
}

/// A read never sees half a commit.
async fn one_snapshot(s: Space) -> Verdict {
    s.at_once(|s, task| async move {
        if task % 2 == 0 {
            let value = task.to_string();
            for _ in 0..ROUNDS {
                s.apply(vec![put("a", &value), range_deleted("b", "c"), put("b", &value), put("z", &value)]).await?;
            }
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let values = s.storage.get(&s.tenant, &["a", "b", "z"].map(Key::from)).await?;
            let found = s.scan(b"a", b"zz", ALL).await?;
            let is_whole = values.iter().all(|value| *value == values[0])
                && found.iter().all(|entry| entry.value == found[0].value)
                && [0, 3].contains(&found.len());
            if !is_whole {
                return broken(format!("half a commit was read: {values:?}, {found:?}"));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await
}

/// One tenant's store under test.
#[derive(Clone)]
struct Space {
    storage: Arc<dyn Storage>,
    tenant: String,
}

impl Space {
    async fn clear(&self) -> Verdict {
        self.apply(vec![Mutation::DeleteRange(everything())]).await
    }

    async fn apply(&self, mutations: Vec<Mutation>) -> Verdict {
        self.outcome(vec![], mutations, Outcome::Committed).await
    }

    async fn outcome(&self, checks: Vec<Check>, mutations: Vec<Mutation>, expect: Outcome) -> Verdict {
        let what = format!("commit of {} mutations if {checks:?}", mutations.len());
        same(&what, &self.storage.commit(&self.tenant, checks, mutations).await?, &expect)
    }

    async fn get(&self, key: &str) -> Result<Option<Value>, Broken> {
        match <[_; 1]>::try_from(self.storage.get(&self.tenant, &[key.into()]).await?) {
            Ok([value]) => Ok(value),
            Err(values) => Err(Broken(format!("{} values for one key", values.len()))),
        }
    }

    async fn counter(&self, key: &str) -> Result<Option<i64>, Broken> {
        let Some(value) = self.get(key).await? else { return Ok(None) };
        let bytes = value.try_into().map_err(|value| Broken(format!("counter {key:?} holds {value:?}")))?;
        Ok(Some(i64::from_le_bytes(bytes)))
    }

    async fn scan(&self, start: &[u8], end: &[u8], options: ScanOptions) -> Result<Vec<Entry>, Broken> {
        let range = KeyRange { start: start.to_vec(), end: end.to_vec() };
        Ok(self.storage.scan(&self.tenant, &range, options).await?)
    }

    async fn all(&self) -> Result<Vec<Entry>, Broken> {
        Ok(self.storage.scan(&self.tenant, &everything(), ALL).await?)
    }

    async fn holds(&self, expect: &[(&str, &str)]) -> Verdict {
        let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
        same("all entries", &self.all().await?, &expect.iter().map(entry).collect())
    }

    /// Runs [`TASKS`] tasks at once.
    async fn at_once<F, R>(&self, task: F) -> Verdict
    where
        F: Fn(Self, u32) -> R,
        R: Future<Output = Verdict> + Send + 'static,
    {
        let mut tasks: JoinSet<Verdict> = (0..TASKS).map(|n| task(self.clone(), n)).collect();
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| Broken(error.to_string()))??;
        }
        Ok(())
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

const ALL: ScanOptions = ScanOptions { reverse: false, keys_only: false, skip: 0, limit: u32::MAX };

fn everything() -> KeyRange {
    KeyRange { start: vec![], end: vec![u8::MAX; MAX_KEY + 1] }
}

fn same<T: PartialEq + Debug>(what: &str, actual: &T, expect: &T) -> Verdict {
    if actual == expect { Ok(()) } else { broken(format!("{what}: expected {expect:?}, came {actual:?}")) }
}

fn broken<T>(detail: String) -> Result<T, Broken> {
    Err(Broken(detail))
}

fn put(key: &str, value: &str) -> Mutation {
    Mutation::Put(key.into(), value.into())
}

fn delete(key: &str) -> Mutation {
    Mutation::Delete(key.into())
}

fn range_deleted(start: &str, end: &str) -> Mutation {
    Mutation::DeleteRange(KeyRange { start: start.into(), end: end.into() })
}

fn log(prefix: &str, value: &str) -> Mutation {
    Mutation::Append(prefix.into(), value.into())
}

fn is(key: &str, value: &str) -> Check {
    Check { key: key.into(), expected: Some(value.into()) }
}

fn is_absent(key: &str) -> Check {
    Check { key: key.into(), expected: None }
}

/// The sequence number that ends a log record's key.
fn number(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

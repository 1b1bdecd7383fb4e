//! One key at a time: values, counters, logs.

use std::collections::BTreeSet;

use super::{add, delete, is, log, put};
use crate::space::{Space, Subject, Verdict, broken, same};
use crate::types::{Key, Mutation, Outcome, Value};

pub(crate) async fn get<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", ""), put("c", "3")]).await?;
    let keys = ["c", "absent", "a", "b", "a"].map(Key::from);
    let expect = [Some("3"), None, Some("1"), Some(""), Some("1")].map(|value| value.map(Value::from));
    same("values, in the order of the keys", &s.subject.get(&s.tenant, &keys).await?, &expect.to_vec())?;
    same("values of no keys", &s.subject.get(&s.tenant, &[]).await?, &Vec::new())
}

pub(crate) async fn bytes<S: Subject>(s: &Space<S>) -> Verdict {
    let value: Value = (0..=u8::MAX).collect();
    // No part of it is text in UTF-8 or UTF-16; the second differs from the first in its last byte alone.
    let first = vec![0, 0xff, 0xd8, 0, 0x80, b'\'', b'%', 0xc3];
    let second = [&first[..7], &[0xc4]].concat();
    s.apply(vec![Mutation::Put(first.clone(), value.clone()), Mutation::Put(second.clone(), vec![0])]).await?;
    same("a value of all bytes", &s.get(&first).await?, &Some(value.clone()))?;
    same("a value of one zero byte", &s.get(&second).await?, &Some(vec![0]))?;
    let found = s.scan(&first, &second, crate::ALL).await?;
    let found: Vec<(Key, Value)> = found.into_iter().map(|entry| (entry.key, entry.value)).collect();
    same("a scan of the first key", &found, &vec![(first, value)])
}

pub(crate) async fn put_and_delete<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![put("a", "1")]).await?;
    s.apply(vec![put("a", "22")]).await?;
    s.holds(&[("a", "22")]).await?;
    s.apply(vec![delete("a")]).await?;
    s.holds(&[]).await?;
    s.apply(vec![delete("a")]).await?;
    s.apply(vec![]).await?;
    s.holds(&[]).await
}

pub(crate) async fn counters<S: Subject>(s: &Space<S>) -> Verdict {
    for (by, expect) in [(5, 5), (-7, -2), (2, 0), (i64::MAX, i64::MAX), (1, i64::MIN)] {
        s.apply(vec![add("n", by)]).await?;
        same(&format!("the counter after {by} was added"), &s.counter("n").await?, &Some(expect))?;
    }
    s.apply(vec![add("n", i64::MIN), add("n", 258)]).await?;
    let stored = [2, 1, 0, 0, 0, 0, 0, 0].to_vec();
    same("258 in bytes", &s.get(b"n").await?, &Some(stored))
}

pub(crate) async fn append<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![log("a", "1"), log("b", "2"), log("a", "3")]).await?;
    s.outcome(vec![is("none", "")], vec![log("a", "lost")], Outcome::Conflict).await?;
    s.apply(vec![log("a", "4")]).await?;
    let mut records = Vec::new();
    for entry in s.all().await? {
        records.push((number(&entry.key)?, entry.value));
    }
    records.sort_unstable();
    let values: Vec<Value> = records.iter().map(|(_, value)| value.clone()).collect();
    same("values in the order of their numbers", &values, &["1", "2", "3", "4"].map(Value::from).to_vec())?;
    let numbers: BTreeSet<u64> = records.iter().map(|(number, _)| *number).collect();
    same("different numbers", &numbers.len(), &4)?;
    s.clear().await?;
    s.apply(vec![log("a", "5")]).await?;
    match &s.all().await?[..] {
        [next] if numbers.last() < Some(&number(&next.key)?) => Ok(()),
        other => broken(format!("after {numbers:?} were deleted, the next number must be greater: {other:?}")),
    }
}

/// The sequence number that ends the key of a record under a prefix of one byte.
fn number(key: &[u8]) -> Result<u64, crate::Ended> {
    match key {
        [_, number @ ..] if number.len() == 8 => Ok(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        _ => broken(format!("expected a record's key to be its prefix and 8 bytes, came {key:?}")),
    }
}

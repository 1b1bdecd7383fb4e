//! Commits: all of it or nothing, in order, if the checks hold.

use super::{add, delete, is, is_absent, log, put, range_deleted};
use crate::space::{Space, Subject, Verdict, broken, same};
use crate::types::{Check, Mutation, Outcome, StoreError};

/// Mutations before the one that fails: more than a storage is likely to send in one piece.
const BEFORE_FAILURE: u32 = 1_000;

pub(crate) async fn checks<S: Subject>(s: &Space<S>) -> Verdict {
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
    s.holds(&[("a", "3")]).await?;
    // An empty value is not an absent one.
    s.apply(vec![put("a", "")]).await?;
    s.outcome(vec![is_absent("a")], set("4"), Outcome::Conflict).await?;
    s.outcome(vec![is("a", "")], set("4"), Outcome::Committed).await?;
    // A counter is checked by its bytes.
    s.apply(vec![add("n", 1)]).await?;
    let counted = |count: i64| vec![Check { key: b"n".to_vec(), expected: Some(count.to_le_bytes().to_vec()) }];
    s.outcome(counted(2), vec![add("n", 1)], Outcome::Conflict).await?;
    s.outcome(counted(1), vec![add("n", 1)], Outcome::Committed).await?;
    same("the counter that was checked", &s.counter("n").await?, &Some(2))
}

pub(crate) async fn conflict_leaves_nothing<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", "2"), add("n", 7)]).await?;
    let before = s.all().await?;
    s.outcome(vec![is("a", "1"), is_absent("b")], every_kind(), Outcome::Conflict).await?;
    same("all entries after the conflict", &s.all().await?, &before)
}

/// Adding to what is no counter fails as a whole, whatever came before it in the commit.
pub(crate) async fn failure_leaves_nothing<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![put("a", "1"), put("b", "2"), add("n", 7), put("text", "no counter")]).await?;
    let before = s.all().await?;
    let mut mutations = every_kind();
    mutations.extend((0..BEFORE_FAILURE).map(|n| put(&format!("many/{n}"), "x")));
    mutations.push(add("text", 1));
    let tried = s.subject.commit(&s.tenant, vec![], mutations).await;
    if !matches!(tried, Err(StoreError::Other(_))) {
        return broken(format!("adding to a value that is no counter: expected the error `other`, came {tried:?}"));
    }
    same("all entries after the failure", &s.all().await?, &before)?;
    s.apply(vec![put("text", "new")]).await
}

/// One mutation of each kind, to apply to `a`, `b` and a counter `n`.
fn every_kind() -> Vec<Mutation> {
    vec![put("c", "3"), delete("a"), range_deleted("b", "c"), add("n", 1), log("log", "x")]
}

pub(crate) async fn mutations_in_order<S: Subject>(s: &Space<S>) -> Verdict {
    s.apply(vec![put("a", "1"), put("a", "2"), delete("a"), put("a", "3")]).await?;
    s.apply(vec![put("b", "1"), delete("b")]).await?;
    s.holds(&[("a", "3")]).await?;
    s.apply(vec![put("m", "1"), range_deleted("l", "n"), put("mm", "2")]).await?;
    s.holds(&[("a", "3"), ("mm", "2")]).await?;
    s.apply(vec![delete("mm"), add("mm", 2), add("mm", 3)]).await?;
    same("a counter made anew", &s.counter("mm").await?, &Some(5))?;
    let start = Mutation::Put(b"mm".to_vec(), 40_i64.to_le_bytes().to_vec());
    s.apply(vec![start, add("mm", 2)]).await?;
    same("a counter put, then added to", &s.counter("mm").await?, &Some(42))
}

pub(crate) async fn delete_range<S: Subject>(s: &Space<S>) -> Verdict {
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

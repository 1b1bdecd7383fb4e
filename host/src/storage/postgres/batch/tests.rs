//! Folding, held against commits applied one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::Value;

type State = BTreeMap<Key, Value>;

/// The database as the statements leave it: ranges, then deletions, then what is written.
fn applied(batch: &Batch<'_>, state: &State, last: u64) -> State {
    let mut state = state.clone();
    for range in &batch.ranges {
        state.retain(|key, _| !contains(range, key));
    }
    for (key, effect) in &batch.effects {
        match effect {
            Effect::Put(value) => drop(state.insert(key.to_vec(), value.to_vec())),
            Effect::Delete => drop(state.remove(*key)),
            Effect::Add(by) => {
                let sum = added(key, state.get(*key).map(Vec::as_slice), *by).expect("a counter, as was judged");
                state.insert(key.to_vec(), sum.to_vec());
            }
        }
    }
    for (number, (prefix, value)) in (last + 1..).zip(&batch.appends) {
        state.insert(record_key(prefix.to_vec(), number), value.to_vec());
    }
    state
}

/// The places of what the database judges to be wrong.
fn judged(batch: &Batch<'_>, state: &State) -> Vec<i64> {
    let stored = |key: &[u8]| state.get(key).map(Vec::as_slice);
    let checks = batch.checks.keys().map(|(key, expected)| stored(key) == *expected);
    let counters = batch.counters.keys().map(|key| stored(key).is_none_or(|value| value.len() == 8));
    (1..).zip(checks.chain(counters)).filter(|(_, holds)| !holds).map(|(place, _)| place).collect()
}

/// Writes the commits as the tasks do; their outcomes.
fn write(commits: &[Commit], state: &mut State, last: &mut u64) -> Vec<Option<Outcome>> {
    let mut outcomes = vec![None; commits.len()];
    let mut open: Vec<usize> = (0..commits.len()).collect();
    while let Some(&first) = open.first() {
        let mut batch = Batch::default();
        let alone = commits[first].needs_its_numbers().then(|| commits[first].clone().numbered(*last));
        let mut numbers = 0;
        match &alone {
            Some((commit, used)) => {
                assert_eq!(batch.fold(commit), Folded::Taken);
                numbers = if batch.outcomes == [Ok(Outcome::Committed)] { *used } else { 0 };
            }
            None => {
                for &at in &open {
                    if commits[at].needs_its_numbers() || batch.fold(&commits[at]) == Folded::Later {
                        break;
                    }
                }
            }
        }
        let failed = judged(&batch, state);
        let decided: BTreeMap<usize, _> = match failed[..] {
            [] => batch.outcomes.iter().cloned().enumerate().collect(),
            _ => batch.losers(&failed),
        };
        assert!(!decided.is_empty(), "every attempt decides something");
        if failed.is_empty() {
            *state = applied(&batch, state, *last);
            *last += numbers + batch.appends.len() as u64;
        }
        for (place, outcome) in &decided {
            outcomes[open[*place]] = outcome.clone().ok();
        }
        let mut place = 0;
        open.retain(|_| {
            place += 1;
            !decided.contains_key(&(place - 1))
        });
    }
    outcomes
}

/// Applies one commit by itself, in the plainest way.
fn apply_alone(commit: &Commit, state: &mut State, last: &mut u64) -> Option<Outcome> {
    if commit.checks.iter().any(|check| state.get(&check.key) != check.expected.as_ref()) {
        return Some(Outcome::Conflict);
    }
    let (mut next, mut number) = (state.clone(), *last);
    for mutation in &commit.mutations {
        match mutation {
            Mutation::Put(key, value) => drop(next.insert(key.clone(), value.clone())),
            Mutation::Delete(key) => drop(next.remove(key)),
            Mutation::DeleteRange(range) => next.retain(|key, _| !contains(range, key)),
            Mutation::Add(key, by) => {
                let sum = added(key, next.get(key).map(Vec::as_slice), *by).ok()?;
                next.insert(key.clone(), sum.to_vec());
            }
            Mutation::Append(prefix, value) => {
                number += 1;
                next.insert(record_key(prefix.clone(), number), value.clone());
            }
        }
    }
    (*state, *last) = (next, number);
    Some(Outcome::Committed)
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        6 => prop::collection::vec(prop::sample::select(vec![b'a', b'b', 255]), 0..3),
        // What an append may make.
        1 => (1..6_u64).prop_map(|number| record_key(b"a".to_vec(), number)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![Just(b"x".to_vec()), Just(b"y".to_vec()), (0..3_i64).prop_map(|n| n.to_le_bytes().to_vec())]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Mutation::Put(key, value)),
        2 => key().prop_map(Mutation::Delete),
        1 => (key(), key()).prop_map(|(start, end)| Mutation::DeleteRange(KeyRange { start, end })),
        3 => (key(), -2..3_i64).prop_map(|(key, by)| Mutation::Add(key, by)),
        2 => (key(), value()).prop_map(|(prefix, value)| Mutation::Append(prefix, value)),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let check = (key(), prop::option::weighted(0.3, value())).prop_map(|(key, expected)| Check { key, expected });
    (prop::collection::vec(check, 0..2), prop::collection::vec(mutation(), 0..4))
        .prop_map(|(checks, mutations)| Commit { checks, mutations })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Losers may be answered before others whom they came before, so the folded outcomes need not be those of this very
    /// order. They must be those of some order: first what was decided at each attempt. The state tells: applying those
    /// that committed, in their order, gives the same.
    #[test]
    fn a_batch_is_its_commits_one_after_the_other(
        start in prop::collection::btree_map(key(), value(), 0..5),
        commits in prop::collection::vec(commit(), 1..8),
    ) {
        let (mut folded, mut folded_last) = (start.clone(), 0);
        let outcomes = write(&commits, &mut folded, &mut folded_last);
        let (mut plain, mut last) = (start, 0);
        for (commit, outcome) in commits.iter().zip(&outcomes) {
            if *outcome == Some(Outcome::Committed) {
                prop_assert_eq!(apply_alone(commit, &mut plain, &mut last), Some(Outcome::Committed));
            }
        }
        prop_assert_eq!(folded, plain);
        prop_assert_eq!(folded_last, last);
    }

    /// A commit by itself ends as the contract says, exactly.
    #[test]
    fn one_commit_is_exact(start in prop::collection::btree_map(key(), value(), 0..5), commit in commit()) {
        let (mut folded, mut folded_last) = (start.clone(), 0);
        let outcome = write(std::slice::from_ref(&commit), &mut folded, &mut folded_last);
        let (mut plain, mut last) = (start, 0);
        prop_assert_eq!(outcome[0], apply_alone(&commit, &mut plain, &mut last));
        prop_assert_eq!((folded, folded_last), (plain, last));
    }
}
